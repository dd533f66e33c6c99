"""From a file to everything that is kept of it: read once, digested, decoded once, every feature taken."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cvsim.errors import ImageError
from cvsim.executors.base import Demand
from cvsim.features.base import Feature
from cvsim.images.content import Content, read_content
from cvsim.images.decode import thumbnail
from cvsim.images.jpeg import jpeg_identity
from cvsim.stores import Extraction, ImageInfo

if TYPE_CHECKING:
    from cvsim.images.scan import FileEntry
    from cvsim.types import RGB

WORKING_PX = 512
"""Longer side of the pixels that all features are taken from."""
THUMBNAIL_PX = 176
THUMBNAIL_KEY = f"thumbnail:1:{THUMBNAIL_PX}"
DECODER = f"decoder:1:{WORKING_PX}"
"""Changes whenever decoding would give other pixels, or fail for other reasons."""


def artefact_keys(features: Collection[Feature[Any]]) -> tuple[str, ...]:
    """Under what everything that a run needs of a picture is stored."""
    return (*(feature.key for feature in features), THUMBNAIL_KEY)


def artefacts(rgb: RGB, features: Collection[Feature[Any]]) -> dict[str, bytes | None]:
    """What is stored of decoded pixels: each feature's descriptor (None: no evidence) and the thumbnail."""
    found: dict[str, bytes | None] = {}
    for feature in features:
        descriptor = feature.extract(rgb)
        found[feature.key] = None if descriptor is None else feature.to_bytes(descriptor)
    found[THUMBNAIL_KEY] = thumbnail(rgb, THUMBNAIL_PX)
    return found


@dataclass
class ExtractJob:
    """The work on one file, for an executor.

    Attributes
    ----------
    features : tuple of Feature
    known : set of str
        Digests of which everything is stored already: read to be recognised, but not decoded.
    digests : dict of str to str
        Filled by `load`: the digest of each path, also of those whose decoding fails or is killed.
    """

    features: tuple[Feature[Any], ...]
    known: Collection[str] = ()
    digests: dict[str, str] = field(default_factory=dict)

    def __getstate__(self) -> dict[str, Any]:
        return {"features": self.features, "known": (), "digests": {}}

    def load(self, item: FileEntry) -> Content:
        content = read_content(item.path)
        self.digests[item.path] = content.digest
        return content

    def demand(self, payload: Content) -> Demand:
        if payload.digest in self.known:
            return Demand()
        return Demand(payload.is_risky, payload.memory_bytes)

    def run(self, payload: Content) -> Extraction:
        if payload.digest in self.known:
            return Extraction(payload.digest)
        try:
            decoded = payload.decode(longest_px=WORKING_PX)
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
        return Extraction(
            payload.digest, decoder=DECODER, image=image, artefacts=artefacts(decoded.rgb, self.features)
        )


@dataclass
class IdentityJob:
    """Tell without decoding whether two files can have equal pixels: a few bytes a file.

    The result is the kind of coding (one letter, and for JPEG a digest of the quantisation tables), then a
    digest of everything that decides about pixels: two files that differ in comments and metadata alone
    have the same one.
    """

    def load(self, item: str) -> Content:
        return read_content(item)

    def demand(self, payload: Content) -> Demand:
        return Demand()

    def run(self, payload: Content) -> bytes:
        if payload.format != "jpeg" or payload.data is None:
            return b"o" + bytes(8) + bytes.fromhex(payload.digest)
        tables, code = jpeg_identity(payload.data)
        return b"j" + tables[:8] + code


def is_same_code(a: bytes | None, b: bytes | None) -> bool:
    """Whether two identities prove equal pixels."""
    return a is not None and a == b


def may_be_equal(a: bytes | None, b: bytes | None) -> bool:
    """Whether pixels may be equal though the identities differ: not for JPEGs of different quantisation."""
    if a is None or b is None or a == b:
        return False
    return not (a[:1] == b[:1] == b"j" and a[1:9] != b[1:9])


@dataclass
class PixelDigestJob:
    """Decode a file at full size, to prove that two pictures have equal pixels."""

    def load(self, item: str) -> Content:
        return read_content(item)

    def demand(self, payload: Content) -> Demand:
        return Demand(payload.is_risky, payload.full_memory_bytes)

    def run(self, payload: Content) -> bytes:
        return bytes.fromhex(payload.pixel_digest())
