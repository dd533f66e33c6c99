"""The store of a run, and an index beside it that is looked up and never written to."""

from __future__ import annotations

from collections.abc import Collection

from cvsim.stores.base import Batch, ImageInfo, KnownFile, Store, StoreInfo


class BesideStore(Store):
    """Reads from two stores and writes to the first; closes neither.

    Parameters
    ----------
    own : Store
        What is in both is read from this one. Files, housekeeping and soundness are its own alone.
    other : Store
    """

    def __init__(self, own: Store, other: Store) -> None:
        self._own, self._other = own, other
        super().__init__(own.location)

    @property
    def is_damaged(self) -> bool:
        """Whether something of the first store could not be read; the other one's owner asks it."""
        return self._own.is_damaged

    @is_damaged.setter
    def is_damaged(self, value: bool) -> None:
        if value:
            self._own.is_damaged = value

    def _write(self, batch: Batch) -> None:
        self._own._write(batch)

    def _known_files(self, paths: Collection[bytes] | None) -> dict[bytes, KnownFile]:
        return self._own._known_files(paths)

    def _images(self, decoder: str, digests: Collection[str] | None) -> dict[str, ImageInfo]:
        return {**self._other._images(decoder, digests), **self._own._images(decoder, digests)}

    def _failures(self, decoder: str, digests: Collection[str] | None) -> dict[str, str]:
        return {**self._other._failures(decoder, digests), **self._own._failures(decoder, digests)}

    def _descriptors(self, key: str, digests: Collection[str] | None) -> dict[str, bytes | None]:
        found = self._own._descriptors(key, digests)
        missing = None if digests is None else [digest for digest in digests if digest not in found]
        return found if missing == [] else {**self._other._descriptors(key, missing), **found}

    def _complete(self, keys: tuple[str, ...], digests: Collection[str] | None) -> set[str]:
        return self._own._complete(keys, digests) | self._other._complete(keys, digests)

    def _pairs(self, key: str, digests: Collection[str] | None) -> dict[tuple[str, str], bytes]:
        return self._own._pairs(key, digests)

    def _touch(self, digests: Collection[str], day: int) -> None:
        self._own._touch(digests, day)

    def _info(self) -> StoreInfo:
        return self._own._info()

    def _forget_files(self, paths: Collection[bytes]) -> None:
        self._own._forget_files(paths)

    def _delete(self, digests: Collection[str]) -> None:
        self._own._delete(digests)

    def _delete_keys(self, keep: set[str]) -> None:
        self._own._delete_keys(keep)

    def _orphans(self) -> set[str]:
        return self._own._orphans()

    def _unused_since(self, day: int) -> set[str]:
        return self._own._unused_since(day)

    def _compact(self) -> None:
        self._own._compact()

    def _clear(self) -> None:
        self._own._clear()

    def _close(self) -> None:
        """Leave both open: who opened them closes them."""
