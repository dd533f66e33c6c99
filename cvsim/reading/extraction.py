"""From a file to everything that is kept of it: read once, digested, decoded once, every feature taken."""

from __future__ import annotations

import functools
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from cvsim.errors import ImageError
from cvsim.executors.base import Demand
from cvsim.features.base import WORKING_PX, Measure
from cvsim.features.color_histogram import ColorHistogram
from cvsim.features.picture import Picture
from cvsim.images.decode import thumbnail
from cvsim.images.encoded import Content, read_content
from cvsim.images.exif import moment_of
from cvsim.images.scan import FileEntry
from cvsim.reading.identity import EDGES_KEY, PIXELS_KEY
from cvsim.stores import Extraction, ImageInfo

if TYPE_CHECKING:
    from cvsim.images.decode import Decoded

THUMBNAIL_PX = 176
THUMBNAIL_KEY = f"thumbnail:2:{THUMBNAIL_PX}"
DECODER = f"decoder:5:{WORKING_PX}"
"""Changes whenever decoding would give other pixels, or fail for other reasons."""


def working_px(features: Collection[Measure[Any]]) -> int:
    """Longer side of the pixels that all of the features are taken from: a plan has them agree."""
    return max((feature.working_px for feature in features), default=WORKING_PX)


def artefact_keys(features: Collection[Measure[Any]], *, thumbnails: bool = False) -> tuple[str, ...]:
    """Under what everything that a run needs of a picture is stored."""
    return (*(feature.key for feature in features), *([THUMBNAIL_KEY] if thumbnails else []))


def artefacts(
    decoded: Decoded, features: Collection[Measure[Any]], *, thumbnails: bool = False
) -> dict[str, bytes | None]:
    """Make what is stored of a picture that was decoded at the working size.

    That is each feature's descriptor (None is "no evidence"), and a thumbnail where one is wanted.
    """
    found: dict[str, bytes | None] = {}
    picture = Picture(decoded.rgb, functools.partial(moment_of, decoded.exif), decoded.seen_through)
    for feature in features:
        descriptor = feature.extract_from(picture)
        found[feature.key] = None if descriptor is None else feature.to_bytes(descriptor)
    if thumbnails:
        found[THUMBNAIL_KEY] = thumbnail(decoded.rgb, THUMBNAIL_PX)
    return found


@dataclass
class ExtractJob:
    """The work on one file, for an executor.

    Attributes
    ----------
    features : tuple of Measure
    known : set of str
        Digests of which everything is stored already: read to be recognised, but not decoded.
    digests : dict of str to str
        Filled by `load`: the digest of each path, also of those whose decoding fails or is killed.
    thumbnails : bool
        Whether one is kept of each picture: where pictures may be shown when their files are out of reach.
    """

    features: tuple[Measure[Any], ...]
    known: set[str] = field(default_factory=set)
    digests: dict[str, str] = field(default_factory=dict)
    thumbnails: bool = False

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "known": set(), "digests": {}}

    @staticmethod
    def prepare() -> None:
        """Have OpenCV make its tables of Lab colours, which takes it a tenth of a second."""
        ColorHistogram().extract(np.zeros((1, 1, 3), np.uint8))

    def load(self, item: FileEntry) -> Content:
        """Read what is worked on; see `Job.load`."""
        content = read_content(item.path)
        self.digests[item.path] = content.digest
        return content

    def demand(self, payload: Content) -> Demand:
        """Say what the work takes; see `Job.demand`."""
        if payload.digest in self.known:
            return Demand()
        return Demand(payload.is_risky, payload.memory_bytes, payload.extra_s)

    def run(self, payload: Content) -> Extraction:
        """Do the work; see `Job.run`."""
        if payload.digest in self.known:
            return Extraction(payload.digest)
        try:
            decoded = payload.decode(longest_px=working_px(self.features), with_digest=True)
        except ImageError as exc:
            return Extraction(payload.digest, decoder=DECODER, failure=str(exc))
        image = ImageInfo(
            decoded.width_px,
            decoded.height_px,
            decoded.format,
            decoded.damaged,
            decoded.taken_at,
            decoded.has_gps,
        )
        found = artefacts(decoded, self.features, thumbnails=self.thumbnails)
        if decoded.pixel_digest is not None:
            found[PIXELS_KEY] = bytes.fromhex(decoded.pixel_digest)
        if decoded.edges:
            found[EDGES_KEY] = decoded.edges
        return Extraction(payload.digest, decoder=DECODER, image=image, artefacts=found)
