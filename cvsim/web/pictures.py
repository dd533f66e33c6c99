"""Pictures for a page: of known contents only, decoded where the decoder can be killed, at bounded size."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from cvsim.errors import CvsimError
from cvsim.executors.local import LocalExecutor
from cvsim.reading.extraction import THUMBNAIL_KEY
from cvsim.reading.previews import PreviewJob

if TYPE_CHECKING:
    from cvsim.stores import Store

SIZES_PX = {"small": 256, "large": 1600, "huge": 5000}
"""The longer side of what is served, by the name that the address has for it."""
_MEMORY_BYTES = 96 << 20
_AT_ONCE = 2
_DECODE_TIMEOUT_S = 20.0


class Pictures:
    """JPEGs of contents, by digest. For several threads.

    Parameters
    ----------
    paths_of : callable
        Digest -> the files that hold it, none for a content that is not part of the page. There is no
        way from an address to a path but this.
    open_store : callable
        Opens the cache, in which small versions lie ready.
    """

    def __init__(self, paths_of: Callable[[str], Iterable[str]], open_store: Callable[[], Store]) -> None:
        self._paths_of = paths_of
        self._executor = LocalExecutor(1)
        self._gate = threading.BoundedSemaphore(_AT_ONCE)
        self._made: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._made_bytes = 0
        self._lock = threading.Lock()
        # A store is used from one thread only.
        self._store_thread = ThreadPoolExecutor(1, "cvsim-thumbnails")
        self._open_store = open_store
        self._store: Store | None = None

    def close(self) -> None:
        """End the decoders and close the cache."""
        self._store_thread.submit(self._close_store).result()
        self._store_thread.shutdown()
        self._executor.close()

    def get(self, digest: str, size: str) -> bytes:
        """A JPEG whose longer side is at most ``SIZES_PX[size]``.

        Raises
        ------
        KeyError
            No such content here, or no such size.
        ImageError
            It cannot be shown: gone, changed, or not decodable any more.
        """
        longest_px = SIZES_PX[size]
        paths = list(self._paths_of(digest))
        if not paths:
            raise KeyError(digest)
        with self._lock:
            if (digest, size) in self._made:
                self._made.move_to_end((digest, size))
                return self._made[digest, size]
        jpeg = self._thumbnail(digest) if size == "small" else None
        if jpeg is None:
            with self._gate:
                jpeg = self._decode(paths, digest, longest_px)
        self._keep((digest, size), jpeg)
        return jpeg

    def _decode(self, paths: Iterable[str], digest: str, longest_px: int) -> bytes:
        job = PreviewJob(longest_px, always_isolated=True)
        ((_, outcome),) = self._executor.map(job, [(digest, tuple(paths))], timeout_s=_DECODE_TIMEOUT_S)
        if isinstance(outcome, CvsimError):
            raise outcome
        return outcome

    def _keep(self, key: tuple[str, str], jpeg: bytes) -> None:
        with self._lock:
            if key not in self._made:
                self._made[key] = jpeg
                self._made_bytes += len(jpeg)
            while self._made_bytes > _MEMORY_BYTES and len(self._made) > 1:
                _, oldest = self._made.popitem(last=False)
                self._made_bytes -= len(oldest)

    def _thumbnail(self, digest: str) -> bytes | None:
        try:
            return self._store_thread.submit(self._from_store, digest).result()
        except CvsimError:
            return None  # the cache only saves time

    def _from_store(self, digest: str) -> bytes | None:
        if self._store is None:
            self._store = self._open_store()
        return self._store.descriptors(THUMBNAIL_KEY, [digest]).get(digest)

    def _close_store(self) -> None:
        if self._store is not None:
            self._store.close()
