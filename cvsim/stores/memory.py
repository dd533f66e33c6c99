"""A store that is gone with the process: for runs without a cache, and the plain model of the others."""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeVar

from cvsim.stores.base import Batch, ImageInfo, KeyInfo, KnownFile, Store, StoreInfo, today

K = TypeVar("K")
V = TypeVar("V")


class MemoryStore(Store):
    """Keeps everything in dictionaries."""

    def __init__(self) -> None:
        super().__init__("memory")
        self._files: dict[bytes, KnownFile] = {}
        self._used: dict[str, int] = {}
        self._decoded: dict[str, dict[str, ImageInfo | str]] = {}
        self._blobs: dict[str, dict[str, bytes | None]] = {}
        self._results: dict[str, dict[tuple[str, str], bytes]] = {}

    def _write(self, batch: Batch) -> None:
        day = today()
        for path, known in batch.files.items():
            self._files[path] = known
            self._used[known.digest] = day
        for extraction in batch.extractions:
            digest = extraction.digest
            self._used[digest] = day
            outcome = extraction.image if extraction.image is not None else extraction.failure
            if outcome is not None:
                self._decoded.setdefault(extraction.decoder, {})[digest] = outcome
            for key, blob in extraction.artefacts.items():
                self._blobs.setdefault(key, {})[digest] = blob
        for key, results in batch.pairs.items():
            self._results.setdefault(key, {}).update(results)
            for pair in results:
                self._used.update(dict.fromkeys(pair, day))

    def _known_files(self, paths: Collection[bytes] | None) -> dict[bytes, KnownFile]:
        return _pick(self._files, paths)

    def _images(self, decoder: str, digests: Collection[str] | None) -> dict[str, ImageInfo]:
        found = _pick(self._decoded.get(decoder, {}), digests)
        return {digest: row for digest, row in found.items() if isinstance(row, ImageInfo)}

    def _failures(self, decoder: str, digests: Collection[str] | None) -> dict[str, str]:
        found = _pick(self._decoded.get(decoder, {}), digests)
        return {digest: row for digest, row in found.items() if isinstance(row, str)}

    def _descriptors(self, key: str, digests: Collection[str] | None) -> dict[str, bytes | None]:
        return _pick(self._blobs.get(key, {}), digests)

    def _complete(self, keys: tuple[str, ...], digests: Collection[str] | None) -> set[str]:
        found = set(self._used) if digests is None else set(digests) & self._used.keys()
        for key in keys:
            found &= self._blobs.get(key, {}).keys()
        return found

    def _pairs(self, key: str, digests: Collection[str] | None) -> dict[tuple[str, str], bytes]:
        results = self._results.get(key, {})
        if digests is None:
            return dict(results)
        wanted = set(digests)
        return {pair: blob for pair, blob in results.items() if wanted.issuperset(pair)}

    def _info(self) -> StoreInfo:
        artefacts = {
            key: KeyInfo(len(blobs), sum(len(blob) for blob in blobs.values() if blob is not None))
            for key, blobs in sorted(self._blobs.items())
            if blobs
        }
        outcomes = [row for rows in self._decoded.values() for row in rows.values()]
        n_failures = sum(isinstance(row, str) for row in outcomes)
        return StoreInfo(
            location=self.location,
            size_bytes=sum(key.n_bytes for key in artefacts.values()),
            n_files=len(self._files),
            n_images=len(outcomes) - n_failures,
            n_failures=n_failures,
            n_pairs=sum(map(len, self._results.values())),
            artefacts=artefacts,
        )

    def _touch(self, digests: Collection[str], day: int) -> None:
        self._used.update((digest, day) for digest in digests if digest in self._used)

    def _forget_files(self, paths: Collection[bytes]) -> None:
        for path in paths:
            self._files.pop(path, None)

    def _delete(self, digests: Collection[str]) -> None:
        doomed = set(digests)
        self._files = {path: known for path, known in self._files.items() if known.digest not in doomed}
        for tables in (self._decoded, self._blobs):
            for rows in tables.values():
                for digest in doomed & rows.keys():
                    del rows[digest]
        for key, results in self._results.items():
            self._results[key] = {p: blob for p, blob in results.items() if doomed.isdisjoint(p)}
        for digest in doomed & self._used.keys():
            del self._used[digest]

    def _delete_keys(self, keep: set[str]) -> None:
        self._blobs = {key: rows for key, rows in self._blobs.items() if key in keep}
        self._results = {key: rows for key, rows in self._results.items() if key in keep}

    def _orphans(self) -> set[str]:
        return self._used.keys() - {known.digest for known in self._files.values()}

    def _unused_since(self, day: int) -> set[str]:
        return {digest for digest, used in self._used.items() if used < day}

    def _compact(self) -> None:
        pass

    def _clear(self) -> None:
        for table in (self._files, self._used, self._decoded, self._blobs, self._results):
            table.clear()

    def _close(self) -> None:
        self._clear()


def _pick(rows: dict[K, V], wanted: Collection[K] | None) -> dict[K, V]:
    """The rows under the keys in `wanted` (None: all)."""
    if wanted is None:
        return dict(rows)
    return {key: rows[key] for key in wanted if key in rows}
