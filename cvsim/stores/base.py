"""The interface that every store implements, and the values that go in and come out.

A store keeps bytes under keys. It never sees a feature, a score or a picture: what a blob means is
known only to the code that made its key. There are four things in it:

- **files**: absolute path -> size, modification time, inode and content digest, so that an unchanged
  file need not be read;
- **images**: content digest -> what decoding gave (an `ImageInfo`, or the reason why it failed), under
  the key of the decoder;
- **artefacts**: content digest and key -> a blob, or None for "no evidence", which is not "absent";
- **pairs**: two content digests and the key of a model -> a blob.

Digests are SHA-256 as 64 lower-case hexadecimal characters. Paths are bytes (`os.fsencode`), since file
names need not be UTF-8. Keys are short texts such as ``"phash:1:ab12cd34ef56"``.
"""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

from cvsim.errors import StoreError
from cvsim.stores.sums import Soundness

BATCH_ROWS = 2000
"""A batch is written when it holds so many rows,"""
BATCH_BYTES = 8 << 20
"""or so many bytes,"""
BATCH_SECONDS = 1.0
"""or when its first row has waited so long (looked at on each put)."""


def _int64(value: int) -> int:
    """`value` wrapped to a signed 64-bit integer: inodes are unsigned, and times may lie after 2262."""
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)


class KnownFile(NamedTuple):
    """A file as it was when it was read; a named tuple, since a warm run makes one for each file.

    Attributes
    ----------
    size_bytes, mtime_ns, inode, device : int
        From `os.stat`, as signed 64-bit integers; make it with `of`.
    digest : str
        Digest of the content that was read.
    """

    size_bytes: int
    mtime_ns: int
    inode: int
    device: int
    digest: str

    @classmethod
    def of(cls, stat: os.stat_result, digest: str) -> KnownFile:
        """What to remember of a file with this `stat` and content."""
        return cls(stat.st_size, _int64(stat.st_mtime_ns), _int64(stat.st_ino), _int64(stat.st_dev), digest)

    def unchanged(self, stat: os.stat_result) -> bool:
        """Whether a file that now has this `stat` can be taken as the one that was read.

        The device is left out: the number of a removable or network drive changes with each mount.
        """
        return (
            self.size_bytes == stat.st_size
            and self.mtime_ns == _int64(stat.st_mtime_ns)
            and self.inode == _int64(stat.st_ino)
        )


class ImageInfo(NamedTuple):
    """What is known of a picture besides its pixels; the fields are those of `cvsim.types.ImageRecord`."""

    width_px: int
    height_px: int
    format: str = ""
    damaged: bool = False
    taken_at: str | None = None
    has_gps: bool = False


@dataclass(frozen=True, slots=True)
class Extraction:
    """What one content gave. It is stored whole or not at all.

    Attributes
    ----------
    digest : str
    decoder : str
        Key under which `image` or `failure` is kept: it names what would make decoding end otherwise.
    image : ImageInfo or None
    failure : str or None
        Why the content cannot be used, in words for a person. At most one of `image` and `failure` is
        given; neither, where artefacts are added to an image that is known already.
    artefacts : mapping of str to (bytes or None)
        By key; None is "no evidence".
    """

    digest: str
    decoder: str = ""
    image: ImageInfo | None = None
    failure: str | None = None
    artefacts: Mapping[str, bytes | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.image is not None and self.failure is not None:
            raise ValueError("an extraction has an image or a failure, not both")
        if (self.image is not None or self.failure is not None) and not self.decoder:
            raise ValueError("an image or a failure needs the key of its decoder")


class KeyInfo(NamedTuple):
    """How much is kept under one key."""

    n_rows: int
    n_bytes: int


@dataclass(frozen=True, slots=True)
class StoreInfo:
    """What a store holds.

    Attributes
    ----------
    location : str
        Where it is; ``"memory"`` for one that is not kept.
    size_bytes : int
        On disk, or of the blobs for one in memory.
    n_files, n_images, n_failures, n_pairs : int
        Paths known; contents decoded; contents that cannot be decoded; pair results.
    artefacts : mapping of str to KeyInfo
        By key.
    """

    location: str
    size_bytes: int
    n_files: int
    n_images: int
    n_failures: int
    n_pairs: int
    artefacts: Mapping[str, KeyInfo]


@dataclass(slots=True)
class Batch:
    """Rows that wait to be written together."""

    files: dict[bytes, KnownFile] = field(default_factory=dict)
    extractions: list[Extraction] = field(default_factory=list)
    pairs: dict[str, dict[tuple[str, str], bytes]] = field(default_factory=dict)
    n_rows: int = 0
    n_bytes: int = 0
    since: float = 0.0

    def count(self, n_rows: int, n_bytes: int) -> None:
        """Note that so much was added."""
        if not self.n_rows:
            self.since = time.monotonic()
        self.n_rows += n_rows
        self.n_bytes += n_bytes

    @property
    def due(self) -> bool:
        """Tell whether what is open should be written now."""
        return (
            self.n_rows >= BATCH_ROWS
            or self.n_bytes >= BATCH_BYTES
            or time.monotonic() - self.since >= BATCH_SECONDS
        )


class Store(ABC):
    """Where files, images, artefacts and pair results are kept.

    Writing is batched: what was put is written when the batch is full, before any reading, by `flush`
    and by `close`. A process that is killed loses at most the batch that was not written; each
    `Extraction` is there whole or absent. When writing fails, `StoreError` is raised and the batch is
    kept: a later `flush` tries again, `abandon` takes it out.

    Where an engine finds that a row does not hold what was written, it leaves the row out, and `is_damaged`
    says so from then on: what was made of the store's content since it was opened must be made again.

    All calls come from one thread. Several processes may use one location at once. Every method raises
    `StoreError` where the store cannot be used.
    """

    location: str

    def __init__(self, location: str) -> None:
        self.location = location
        self.is_damaged = False
        self._pending = Batch()
        self._closed = False

    # Writing

    def put_file(self, path: bytes, known: KnownFile) -> None:
        """Remember the content of the file at an absolute `path`, in place of what was known of it."""
        self._pending.files[path] = known
        self._added(1, len(path))

    def put(self, extraction: Extraction) -> None:
        """Keep what one content gave, in place of what was kept under the same keys."""
        self._pending.extractions.append(extraction)
        blobs = extraction.artefacts.values()
        self._added(1 + len(blobs), sum(len(blob) for blob in blobs if blob is not None))

    def put_pairs(self, key: str, results: Mapping[tuple[str, str], bytes]) -> None:
        """Keep results of pairs of digests under the `key` of a model.

        The order of the two digests counts: ``(a, b)`` is another pair than ``(b, a)``, since a result
        may say which side contains the other.
        """
        if results:
            self._pending.pairs.setdefault(key, {}).update(results)
            self._added(len(results), sum(map(len, results.values())))

    def flush(self) -> None:
        """Write what waits; when this returns, a killed process does not lose it."""
        self._check_open()
        if self._pending.n_rows:
            self._write(self._pending)
            self._pending = Batch()

    def abandon(self) -> Batch:
        """Take out what waits to be written, without writing it."""
        batch, self._pending = self._pending, Batch()
        return batch

    def _added(self, n_rows: int, n_bytes: int) -> None:
        self._check_open()
        self._pending.count(n_rows, n_bytes)
        if self._pending.due:
            self.flush()

    # Reading

    def known_files(self, paths: Collection[bytes] | None = None) -> dict[bytes, KnownFile]:
        """What is known of the files at these absolute `paths` (None: of all); others are left out."""
        self.flush()
        return self._known_files(paths)

    def images(self, decoder: str, digests: Collection[str] | None = None) -> dict[str, ImageInfo]:
        """The images among `digests` (None: all) that were decoded under the key `decoder`."""
        self.flush()
        return self._images(decoder, digests)

    def failures(self, decoder: str, digests: Collection[str] | None = None) -> dict[str, str]:
        """Why those among `digests` (None: all) that failed under the key `decoder` did so."""
        self.flush()
        return self._failures(decoder, digests)

    def descriptors(self, key: str, digests: Collection[str] | None = None) -> dict[str, bytes | None]:
        """The artefacts under `key` of `digests` (None: all): by digest, in no order.

        A value of None is a known "no evidence"; a digest that is left out is not known. All of the
        blobs are held in memory at once: ask for large ones in portions.
        """
        self.flush()
        return self._descriptors(key, digests)

    def complete(self, keys: Collection[str], digests: Collection[str] | None = None) -> set[str]:
        """Those among `digests` (None: all that are known) that have an artefact under each of `keys`."""
        self.flush()
        return self._complete(tuple(dict.fromkeys(keys)), digests)

    def pairs(self, key: str, digests: Collection[str] | None = None) -> dict[tuple[str, str], bytes]:
        """The pair results under `key` whose two sides are both among `digests` (None: all)."""
        self.flush()
        return self._pairs(key, digests)

    def info(self) -> StoreInfo:
        """How much is kept, and where."""
        self.flush()
        return self._info()

    # Housekeeping

    def touch(self, digests: Collection[str]) -> None:
        """Mark `digests` as used today, for `prune`. What is put is marked by itself."""
        self.flush()
        self._touch(digests, today())

    def forget_files(self, paths: Collection[bytes]) -> None:
        """Forget the files at these absolute `paths`; what their contents gave stays."""
        self.flush()
        self._forget_files(paths)

    def delete(self, digests: Collection[str]) -> None:
        """Remove all that is kept of these contents: files, images, artefacts, pair results."""
        self.flush()
        self._delete(digests)

    def check(self) -> Soundness:
        """Look at every row; engines that look after their rows themselves say that all is well."""
        return Soundness(0, 0)

    def mend(self) -> int:
        """Remove the rows that are damaged, as if they had never been put; how many there were."""
        return 0

    def prune(
        self,
        *,
        exists: Callable[[bytes], bool] | None = None,
        unused_days: int | None = None,
        keep_keys: Collection[str] | None = None,
    ) -> int:
        """Remove what is of no more use, and give the space back.

        Parameters
        ----------
        exists : callable, optional
            Called with each known path; files for which it is false are forgotten, and contents that
            no known file has any more are removed.
        unused_days : int, optional
            Contents that were neither put nor touched for more than so many days are removed.
        keep_keys : collection of str, optional
            Artefacts and pair results under all other keys are removed.

        Returns
        -------
        int
            Number of contents removed.
        """
        self.flush()
        doomed: set[str] = set()
        if exists is not None:
            self._forget_files([path for path in self._known_files(None) if not exists(path)])
            doomed |= self._orphans()
        if unused_days is not None:
            doomed |= self._unused_since(today() - unused_days)
        if doomed:
            self._delete(doomed)
        if keep_keys is not None:
            self._delete_keys(set(keep_keys))
        self._compact()
        return len(doomed)

    def clear(self) -> None:
        """Remove everything."""
        self.abandon()
        self._check_open()
        self._clear()

    def close(self) -> None:
        """Write what waits and close the location; a second call does nothing."""
        if self._closed:
            return
        try:
            self.flush()
        finally:
            self._closed = True
            self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError(f"{self.location} was closed already; open it again")

    # What an engine implements; all that waited has been written before any of these is called.

    @abstractmethod
    def _write(self, batch: Batch) -> None:
        """Write all of `batch` or nothing."""

    @abstractmethod
    def _known_files(self, paths: Collection[bytes] | None) -> dict[bytes, KnownFile]: ...

    @abstractmethod
    def _images(self, decoder: str, digests: Collection[str] | None) -> dict[str, ImageInfo]: ...

    @abstractmethod
    def _failures(self, decoder: str, digests: Collection[str] | None) -> dict[str, str]: ...

    @abstractmethod
    def _descriptors(self, key: str, digests: Collection[str] | None) -> dict[str, bytes | None]: ...

    @abstractmethod
    def _complete(self, keys: tuple[str, ...], digests: Collection[str] | None) -> set[str]: ...

    @abstractmethod
    def _pairs(self, key: str, digests: Collection[str] | None) -> dict[tuple[str, str], bytes]: ...

    @abstractmethod
    def _info(self) -> StoreInfo: ...

    @abstractmethod
    def _touch(self, digests: Collection[str], day: int) -> None: ...

    @abstractmethod
    def _forget_files(self, paths: Collection[bytes]) -> None: ...

    @abstractmethod
    def _delete(self, digests: Collection[str]) -> None: ...

    @abstractmethod
    def _delete_keys(self, keep: set[str]) -> None: ...

    @abstractmethod
    def _orphans(self) -> set[str]:
        """Digests that no known file has."""

    @abstractmethod
    def _unused_since(self, day: int) -> set[str]:
        """Digests that were last used before `day`."""

    @abstractmethod
    def _compact(self) -> None:
        """Give unused space back, if that can be done now."""

    @abstractmethod
    def _clear(self) -> None: ...

    @abstractmethod
    def _close(self) -> None: ...


def today() -> int:
    """Days since 1970, UTC."""
    return int(time.time()) // 86_400


def chunks_of(values: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Cut values into lists of at most `size`."""
    rows = list(values)
    return (rows[start : start + size] for start in range(0, len(rows), size))
