"""A cache that never stops the work it was meant to speed up."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from typing import TypeVar

from cvsim.errors import StoreError
from cvsim.stores.base import Batch, ImageInfo, KnownFile, Store, StoreInfo
from cvsim.stores.memory import MemoryStore
from cvsim.stores.sums import Soundness

_log = logging.getLogger(__name__)
T = TypeVar("T")


class CacheGuard(Store):
    """A store over another one, which goes on in memory where that one fails.

    The first `StoreError` (a full disk, a damaged file) is logged as a warning, once, and kept in
    `failure`. From then on nothing is written to the inner store: what is put goes to memory. What was
    written before is still read from the inner store as long as that works. So everything that was
    put can be read back until the end, with or without a disk.

    Deleting and `clear` are not guarded: somebody who asks for them wants to know.

    Parameters
    ----------
    inner : Store
        Closed together with the guard.
    failure : str, optional
        What went wrong before, when `inner` stands in for a cache that could not be opened.

    Attributes
    ----------
    failure : str or None
        What went wrong first.
    """

    def __init__(self, inner: Store, failure: str | None = None) -> None:
        self._inner = inner
        super().__init__(inner.location)
        self.failure = failure
        self._inner_works = True
        self._overflow = MemoryStore()

    def _write(self, batch: Batch) -> None:
        if self._inner_works:
            try:
                self._inner._write(batch)
                return
            except StoreError as error:
                self._fail(error)
        self._overflow._write(batch)

    @property
    def is_damaged(self) -> bool:
        """Whether something that was asked for could not be read, or was not what had been put."""
        return self._lost or self._inner.is_damaged

    @is_damaged.setter
    def is_damaged(self, value: bool) -> None:
        self._lost = value

    def check(self) -> Soundness:
        """Look at every row of the inner store."""
        return self._inner.check()

    def mend(self) -> int:
        """Remove the damaged rows of the inner store."""
        return self._inner.mend()

    def _fail(self, error: StoreError) -> None:
        self._inner_works = False
        if self.failure is None:
            self.failure = str(error)
            _log.warning("%s. Going on without it", error)

    def _read(self, read: Callable[[Store], T]) -> T | None:
        """What the inner store says; None when it cannot say anything any more."""
        try:
            return read(self._inner)
        except StoreError as error:
            self._fail(error)
            self._lost = True
            return None

    def _known_files(self, paths: Collection[bytes] | None) -> dict[bytes, KnownFile]:
        found = self._read(lambda store: store._known_files(paths)) or {}
        return {**found, **self._overflow._known_files(paths)}

    def _images(self, decoder: str, digests: Collection[str] | None) -> dict[str, ImageInfo]:
        found = self._read(lambda store: store._images(decoder, digests)) or {}
        return {**found, **self._overflow._images(decoder, digests)}

    def _failures(self, decoder: str, digests: Collection[str] | None) -> dict[str, str]:
        found = self._read(lambda store: store._failures(decoder, digests)) or {}
        return {**found, **self._overflow._failures(decoder, digests)}

    def _descriptors(self, key: str, digests: Collection[str] | None) -> dict[str, bytes | None]:
        found = self._read(lambda store: store._descriptors(key, digests)) or {}
        return {**found, **self._overflow._descriptors(key, digests)}

    def _complete(self, keys: tuple[str, ...], digests: Collection[str] | None) -> set[str]:
        if self._inner_works:
            found = self._read(lambda store: store._complete(keys, digests))
            if found is not None:
                return found
        # Some artefacts of one content may be in the inner store and the others in memory.
        if not keys:
            found = self._read(lambda store: store._complete(keys, digests)) or set()
            return found | self._overflow._complete(keys, digests)
        return set.intersection(*(self._having(key, digests) for key in keys))

    def _having(self, key: str, digests: Collection[str] | None) -> set[str]:
        found = self._read(lambda store: store._complete((key,), digests)) or set()
        return found | self._overflow._complete((key,), digests)

    def _pairs(self, key: str, digests: Collection[str] | None) -> dict[tuple[str, str], bytes]:
        found = self._read(lambda store: store._pairs(key, digests)) or {}
        return {**found, **self._overflow._pairs(key, digests)}

    def _touch(self, digests: Collection[str], day: int) -> None:
        if self._inner_works:
            self._read(lambda store: store._touch(digests, day))

    def _info(self) -> StoreInfo:
        return self._inner._info()

    def _forget_files(self, paths: Collection[bytes]) -> None:
        self._overflow._forget_files(paths)
        self._inner._forget_files(paths)

    def _delete(self, digests: Collection[str]) -> None:
        self._overflow._delete(digests)
        self._inner._delete(digests)

    def _delete_keys(self, keep: set[str]) -> None:
        self._overflow._delete_keys(keep)
        self._inner._delete_keys(keep)

    def _orphans(self) -> set[str]:
        return self._inner._orphans()

    def _unused_since(self, day: int) -> set[str]:
        return self._inner._unused_since(day)

    def _compact(self) -> None:
        self._inner._compact()

    def _clear(self) -> None:
        self._overflow._clear()
        self._inner._clear()

    def _close(self) -> None:
        self._overflow.close()
        self._inner.close()
