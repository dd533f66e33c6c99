"""Reading the files of a run: what is not known yet is decoded once, and everything of it is kept."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from cvsim.errors import CvsimError, DamagedStoreError, MemoryNotAllowedError
from cvsim.executors import LocalExecutor
from cvsim.images.scan import FileEntry, Scan
from cvsim.reading.extraction import DECODER, ExtractJob, artefact_keys
from cvsim.reading.shards import FileShardJob, file_shards
from cvsim.stores import Extraction, KnownFile
from cvsim.types import Counts, Group, ImageRecord, Skipped

if TYPE_CHECKING:
    from cvsim.executors.base import Executor
    from cvsim.features.base import Measure
    from cvsim.progress import Progress
    from cvsim.stores import ImageInfo, Store


@dataclass(frozen=True, eq=False)
class Reading:
    """What reading the files gave.

    Attributes
    ----------
    records : tuple of ImageRecord
        Readable pictures, by path.
    roots : mapping of str to str
        Path -> the argument it was found by.
    skipped : tuple of Skipped
        By path.
    n_decoded, n_read : int
        Pictures decoded, and files opened; the others were known.
    bytes_read : int
    """

    records: tuple[ImageRecord, ...]
    roots: Mapping[str, str]
    skipped: tuple[Skipped, ...]
    n_decoded: int
    n_read: int
    bytes_read: int

    def counts(self, groups: Sequence[Group], n_indexed: int = 0) -> Counts:
        """Totals of a run that made these groups of what was read, and of so many indexed files."""
        proposed = [member.record for group in groups for member in group.members if member.proposed]
        with_indexed = [group for group in groups if any(member.indexed for member in group.members)]
        return Counts(
            files=self.n_files,
            images=len(self.records),
            skipped=len(self.skipped),
            groups=len(groups),
            duplicates=len(proposed),
            reclaimable_bytes=sum(record.size_bytes for record in proposed),
            indexed=n_indexed,
            known=sum(not member.indexed for group in with_indexed for member in group.members),
        )

    @property
    def n_files(self) -> int:
        """Count the files."""
        return len(self.records) + len(self.skipped)


def read_files(
    found: Scan,
    features: Sequence[Measure[Any]],
    store: Store,
    *,
    executor: Executor,
    progress: Progress,
    contents: Collection[str] | None = None,
    thumbnails: bool = False,
) -> Reading:
    """Read and decode what is not known yet; afterwards the store holds everything of every picture.

    A file of a new name is recognised by its content among `contents` (None: all that the store knows). With
    `thumbnails` one of each picture is kept, too.
    """
    keys = artefact_keys(features, thumbnails=thumbnails)
    absolute = {entry.path: os.fsencode(os.path.abspath(entry.path)) for entry in found.files}
    known = store.known_files(absolute.values())
    digests = {
        entry.path: known[key].digest
        for entry in found.files
        if (key := absolute[entry.path]) in known and _is_unchanged(known[key], entry)
    }
    if contents is None and len(digests) < len(found.files):
        asked = None  # a file of a new name may hold any content that the store knows
    else:
        asked = {*(contents or ()), *digests.values()}
    complete = store.complete(keys, asked)
    images, failures = store.images(DECODER, asked), store.failures(DECODER, asked)
    finished = (complete & images.keys()) | failures.keys()
    todo = [entry for entry in found.files if digests.get(entry.path) not in finished]
    job = ExtractJob(tuple(features), known=finished, thumbnails=thumbnails)
    reasons, n_decoded = _extract(todo, job, digests, absolute, store, executor, progress)
    if todo:
        asked = set(digests.values())
        images, failures = store.images(DECODER, asked), store.failures(DECODER, asked)
        if lost := asked - images.keys() - failures.keys():
            raise DamagedStoreError(f"{store.location} has lost {len(lost)} pictures that were just put")
    records, skipped = _records(found, digests, images, failures, reasons)
    store.touch({record.digest for record in records})
    return Reading(
        records,
        {entry.path: entry.root for entry in found.files},
        tuple(sorted([*found.skipped, *skipped], key=lambda s: s.path)),
        n_decoded,
        len(todo),
        sum(entry.size_bytes for entry in todo),
    )


def _is_unchanged(known: KnownFile, entry: FileEntry) -> bool:
    # One comparison for both kinds of status: the store's own rule, on the scan's figures.
    return known.unchanged(_status(entry))


def _status(entry: FileEntry) -> Any:
    """What the scan saw of a file, under the names that the store compares."""
    return SimpleNamespace(
        st_size=entry.size_bytes, st_mtime_ns=entry.mtime_ns, st_ino=entry.inode, st_dev=entry.device
    )


def _extract(
    todo: Sequence[FileEntry],
    job: ExtractJob,
    digests: dict[str, str],
    absolute: Mapping[str, bytes],
    store: Store,
    executor: Executor,
    progress: Progress,
) -> tuple[dict[str, str], int]:
    """Extract each file of `todo` and store it; reasons of those that gave no content, and decodes made."""
    reasons: dict[str, str] = {}
    n_decoded = 0
    with progress.task("Reading pictures", len(todo)) as advance:
        for entry, digest, outcome in _outcomes(todo, job, executor, store):
            advance(1)
            if isinstance(outcome, CvsimError):
                reasons[entry.path] = str(outcome)
                if digest is None or isinstance(outcome, MemoryNotAllowedError):
                    continue
                outcome = Extraction(digest, decoder=DECODER, failure=str(outcome))
            if outcome.image is not None or outcome.failure is not None:
                n_decoded += outcome.image is not None
                store.put(outcome)
                job.known.add(outcome.digest)
            digests[entry.path] = outcome.digest
            store.put_file(absolute[entry.path], KnownFile.of(_status(entry), outcome.digest))
    return reasons, n_decoded


def _outcomes(
    todo: Sequence[FileEntry], job: ExtractJob, executor: Executor, store: Store
) -> Iterator[tuple[FileEntry, str | None, Extraction | CvsimError]]:
    """Each file with its digest (None: it could not be read) and what it gave, as they are done."""
    if not executor.is_remote:
        for entry, outcome in executor.map(job, todo):
            yield entry, job.digests.get(entry.path), outcome
        return
    by_size: dict[int, set[str]] = {}
    for file in store.known_files().values() if job.known else ():
        if file.digest in job.known:
            by_size.setdefault(file.size_bytes, set()).add(file.digest)
    changed: list[FileEntry] = []
    shard_job = FileShardJob(job.features, thumbnails=job.thumbnails)
    for shard, results in executor.map(shard_job, file_shards(todo, by_size)):
        if isinstance(results, CvsimError):  # a file has changed since the scan: each for itself
            changed += shard.entries
            continue
        for entry, (digest, outcome) in zip(shard.entries, results, strict=True):
            yield entry, digest, outcome
        store.flush()  # from now on the shard is not lost, however this run ends
    with LocalExecutor() as here:
        for entry, outcome in here.map(job, changed):
            yield entry, job.digests.get(entry.path), outcome


def _records(
    found: Scan,
    digests: Mapping[str, str],
    images: Mapping[str, ImageInfo],
    failures: Mapping[str, str],
    reasons: Mapping[str, str],
) -> tuple[tuple[ImageRecord, ...], list[Skipped]]:
    records, skipped = [], []
    for entry in found.files:
        digest = digests.get(entry.path, "")
        info = images.get(digest)
        if info is None:
            reason = reasons.get(entry.path) or failures.get(digest, "could not be read")
            skipped.append(Skipped(entry.path, reason))
            continue
        records.append(image_record(entry.path, digest, entry, info))
    return tuple(sorted(records, key=lambda r: r.path)), skipped


def image_record(path: str, digest: str, file: FileEntry | KnownFile, info: ImageInfo) -> ImageRecord:
    """What is told of a picture, from its file as it was found and from its content."""
    return ImageRecord(
        path=path,
        digest=digest,
        width_px=info.width_px,
        height_px=info.height_px,
        size_bytes=file.size_bytes,
        mtime_ns=file.mtime_ns,
        format=info.format,
        damaged=info.damaged,
        taken_at=info.taken_at,
        has_gps=info.has_gps,
    )
