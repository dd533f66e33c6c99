"""From a file to everything that is kept of it: read once, digested, decoded once, every feature taken."""

from __future__ import annotations

import itertools
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cvsim.errors import CvsimError, ImageError
from cvsim.executors import process_executor
from cvsim.executors.base import Demand
from cvsim.features.base import WORKING_PX, Feature
from cvsim.features.color_histogram import ColorHistogram
from cvsim.features.picture import Picture
from cvsim.images.decode import EDGE_DIGEST_BYTES, jpeg_edge_digests, thumbnail
from cvsim.images.encoded import Content, read_content
from cvsim.images.jpeg import JpegIdentities
from cvsim.images.scan import FileEntry, file_error_reason
from cvsim.stores import Extraction, ImageInfo

if TYPE_CHECKING:
    from cvsim.types import RGB

THUMBNAIL_PX = 176
IDENTITY_KEY, EDGES_KEY, PIXELS_KEY = "identity:2", "edges:1", "pixels:1"
"""Under what proves that pixels are equal is stored: of `IdentityJob`, `EdgesJob` and `PixelDigestJob`."""
NO_EDGES = bytes(4 * EDGE_DIGEST_BYTES)
THUMBNAIL_KEY = f"thumbnail:2:{THUMBNAIL_PX}"
DECODER = f"decoder:2:{WORKING_PX}"
"""Changes whenever decoding would give other pixels, or fail for other reasons."""


def working_px(features: Collection[Feature[Any]]) -> int:
    """Longer side of the pixels that all of the features are taken from: a plan has them agree."""
    return max((feature.working_px for feature in features), default=WORKING_PX)


def artefact_keys(features: Collection[Feature[Any]], *, thumbnails: bool = False) -> tuple[str, ...]:
    """Under what everything that a run needs of a picture is stored."""
    return (*(feature.key for feature in features), *([THUMBNAIL_KEY] if thumbnails else []))


def artefacts(
    rgb: RGB, features: Collection[Feature[Any]], *, thumbnails: bool = False
) -> dict[str, bytes | None]:
    """What is stored of pixels of the working size: each feature's descriptor (None: no evidence), and a
    thumbnail where one is wanted."""
    found: dict[str, bytes | None] = {}
    picture = Picture(rgb)
    for feature in features:
        descriptor = feature.extract_from(picture)
        found[feature.key] = None if descriptor is None else feature.to_bytes(descriptor)
    if thumbnails:
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
    thumbnails : bool
        Whether one is kept of each picture: where pictures may be shown when their files are out of reach.
    """

    features: tuple[Feature[Any], ...]
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
        found = artefacts(decoded.rgb, self.features, thumbnails=self.thumbnails)
        if decoded.pixel_digest is not None:
            found[PIXELS_KEY] = bytes.fromhex(decoded.pixel_digest)
        if decoded.edges:
            found[EDGES_KEY] = decoded.edges
        return Extraction(payload.digest, decoder=DECODER, image=image, artefacts=found)


SHARD_FILES = 32
SHARD_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class FileShard:
    """Files that are extracted in one go, on whatever machine.

    Attributes
    ----------
    entries : tuple of FileEntry
    folder : str
        What their paths are relative to, where they are: that of the process that scanned.
    known : frozenset of str
        Digests that one of the files may have and of which everything is stored already.
    """

    entries: tuple[FileEntry, ...]
    folder: str
    known: frozenset[str] = frozenset()

    def paths(self) -> list[str]:
        return [os.path.join(self.folder, entry.path) for entry in self.entries]


def file_shards(entries: Iterable[FileEntry], known: Mapping[int, Collection[str]]) -> Iterator[FileShard]:
    """Cut files into shards: the largest first, so that none of them is waited for in the end.

    Files of one size follow each other, and so do identical ones: those of a shard are decoded once.

    Parameters
    ----------
    entries : iterable of FileEntry
    known : mapping of int to collection of str
        By the size of a file, the digests of which everything is stored already.
    """
    held: list[FileEntry] = []
    n_bytes = 0
    for entry in sorted(entries, key=lambda e: (-e.size_bytes, e.path)):
        if held and (len(held) >= SHARD_FILES or n_bytes + entry.size_bytes > SHARD_BYTES):
            yield _shard(held, known)
            held, n_bytes = [], 0
        held.append(entry)
        n_bytes += entry.size_bytes
    if held:
        yield _shard(held, known)


def _shard(entries: Iterable[FileEntry], known: Mapping[int, Collection[str]]) -> FileShard:
    entries = tuple(entries)
    sizes = {entry.size_bytes for entry in entries}
    may_have = itertools.chain.from_iterable(known.get(size, ()) for size in sizes)
    return FileShard(entries, os.getcwd(), frozenset(may_have))


class FileShardJob:
    """The work on a shard, for an executor that is remote.

    Parameters
    ----------
    features : tuple of Feature
    thumbnails : bool
        See `ExtractJob`.
    """

    def __init__(self, features: tuple[Feature[Any], ...], *, thumbnails: bool = False) -> None:
        self._features = features
        self._thumbnails = thumbnails

    def load(self, item: FileShard) -> FileShard:
        """Make sure that the files are here as the driver saw them.

        Raises
        ------
        ImageError
            One is not: this machine does not have them, and another will do.
        """
        for path, entry in zip(item.paths(), item.entries, strict=True):
            try:
                stat = os.stat(path)
            except OSError as exc:
                raise ImageError(file_error_reason(exc)) from exc
            if (stat.st_size, stat.st_mtime_ns) != (entry.size_bytes, entry.mtime_ns):
                raise ImageError("another file")
            if not os.access(path, os.R_OK):
                raise ImageError("not readable")
        return item

    def demand(self, payload: FileShard) -> Demand:
        return Demand()

    def run(self, payload: FileShard) -> list[tuple[str | None, Extraction | CvsimError]]:
        """Of each file, in order, its digest (None: it could not be read) and what it gave."""
        job = ExtractJob(self._features, known=set(payload.known), thumbnails=self._thumbnails)
        paths = payload.paths()
        entries = [replace(e, path=path) for e, path in zip(payload.entries, paths, strict=True)]
        found: dict[str, Extraction | CvsimError] = {}
        for entry, outcome in process_executor().map(job, entries):
            found[entry.path] = outcome
            if isinstance(outcome, Extraction):
                job.known.add(outcome.digest)
        return [(job.digests.get(path), found[path]) for path in paths]


@dataclass
class _KnownFilesJob:
    """Work on files that have been read before.

    Attributes
    ----------
    digests : mapping of str to str
        Of each path: known, so the files are not digested again.
    """

    digests: Mapping[str, str]

    def load(self, item: str) -> Content:
        return read_content(item, self.digests[item])

    def demand(self, payload: Content) -> Demand:
        return Demand()


@dataclass
class IdentityJob(_KnownFilesJob):
    """Tell without decoding whether two files can have equal pixels: see `make_identity`."""

    _jpegs: JpegIdentities = field(default_factory=JpegIdentities)

    def run(self, payload: Content) -> bytes:
        if payload.format != "jpeg" or payload.data is None:
            return make_identity(bytes.fromhex(payload.digest))
        tables, code = self._jpegs.of(payload.data)
        return make_identity(code, tables)


_TABLES_BYTES = 8


def make_identity(code: bytes, tables: bytes = b"") -> bytes:
    """What tells, of two pictures of one size, that their pixels are equal, or cannot be.

    Parameters
    ----------
    code : bytes
        A digest of everything that decides about pixels: two files that differ in comments and metadata alone
        have the same one.
    tables : bytes
        For a JPEG, a digest of the quantisation tables and the orientation.
    """
    return (b"j" if tables else b"o") + tables[:_TABLES_BYTES].ljust(_TABLES_BYTES, b"\0") + code


def is_same_code(a: bytes | None, b: bytes | None) -> bool:
    """Whether two identities prove equal pixels."""
    return a is not None and a == b


def may_be_equal(a: bytes | None, b: bytes | None) -> bool:
    """Whether pixels may be equal though the identities differ.

    Not for JPEGs of different quantisation or orientation.
    """
    if a is None or b is None or a == b:
        return False
    tables = slice(1, 1 + _TABLES_BYTES)
    return not (a[:1] == b[:1] == b"j" and a[tables] != b[tables])


class EdgesJob(_KnownFilesJob):
    """Decode an edge of a JPEG: see `cvsim.images.decode.edge_digests`."""

    def run(self, payload: Content) -> bytes:
        if payload.format != "jpeg" or payload.data is None:
            return NO_EDGES
        return jpeg_edge_digests(payload.data)


def have_equal_edges(a: bytes | None, b: bytes | None) -> bool:
    """Whether none of the edges that are known of both pictures differs."""
    parts = [slice(at, at + EDGE_DIGEST_BYTES) for at in range(0, len(NO_EDGES), EDGE_DIGEST_BYTES)]
    pairs = (((a or NO_EDGES)[part], (b or NO_EDGES)[part]) for part in parts)
    return all(x == y or not any(x) or not any(y) for x, y in pairs)


class PixelDigestJob(_KnownFilesJob):
    """Decode a file at full size, to prove that two pictures have equal pixels."""

    def demand(self, payload: Content) -> Demand:
        return Demand(payload.is_risky, payload.full_memory_bytes)

    def run(self, payload: Content) -> bytes:
        return bytes.fromhex(payload.pixel_digest())
