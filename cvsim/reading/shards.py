"""Shards of files, which are extracted in one go on whatever machine reaches them."""

from __future__ import annotations

import itertools
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cvsim.errors import CvsimError, ImageError
from cvsim.executors import process_executor
from cvsim.executors.base import Demand
from cvsim.images.scan import FileEntry, file_error_reason
from cvsim.reading.extraction import ExtractJob
from cvsim.stores import Extraction

if TYPE_CHECKING:
    from cvsim.features.base import Measure

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
        """Name the files of the shard."""
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
    features : tuple of Measure
    thumbnails : bool
        See `ExtractJob`.
    """

    def __init__(self, features: tuple[Measure[Any], ...], *, thumbnails: bool = False) -> None:
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
        """Say what the work takes; see `Job.demand`."""
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
