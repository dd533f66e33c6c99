"""What the search page asks: an index in a thread of its own, and limits on how often and how much."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from cvsim.errors import CvsimError, FetchError
from cvsim.fetch.client import Limits, RemoteClient
from cvsim.reading.extraction import THUMBNAIL_KEY
from cvsim.recipes.search import QueryReader, groups_of, search
from cvsim.reports.hits import hit_document

if TYPE_CHECKING:
    from cvsim.recipes.index import Signals
    from cvsim.recipes.search import Query
    from cvsim.settings import Settings
    from cvsim.stores import SearchableStore

T = TypeVar("T")

MAX_K = 100
FETCH_LIMITS = Limits(timeout_s=8.0, total_s=20.0, n_attempts=1)


@dataclass(frozen=True, slots=True)
class SearchLimits:
    """What one page may ask for.

    Attributes
    ----------
    max_upload_bytes, max_pixels : int
        The most that a query may have.
    per_minute : int
        Searches.
    max_waiting : int
        Searches that wait for another.
    """

    max_upload_bytes: int = 30_000_000
    max_pixels: int = 100_000_000
    per_minute: int = 60
    max_waiting: int = 8


class BusyError(CvsimError):
    """Too much is asked at once; `after_s` says when to ask again."""

    def __init__(self, message: str, after_s: float) -> None:
        super().__init__(message)
        self.after_s = after_s


class SearchService:
    """An opened index for many requests; its store is touched by one thread only.

    Parameters
    ----------
    open_store : callable
        Opens and checks the store; called in that thread.
    signals : Signals
    settings : Settings
    limits : SearchLimits
    allow_private : bool
        Whether a URL may lie in a private network.
    """

    def __init__(
        self,
        open_store: Callable[[], SearchableStore],
        signals: Signals,
        settings: Settings,
        limits: SearchLimits,
        *,
        allow_private: bool = False,
    ) -> None:
        self.limits = limits
        self._signals, self._settings = signals, settings
        self._allow_private = allow_private
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="search")
        self._reader = QueryReader(signals.features, limits.max_pixels)
        self._lock = threading.Lock()
        self._n_waiting = 0
        self._starts: deque[float] = deque()
        self._store = self._thread.submit(open_store).result()

    def search_bytes(self, data: bytes, name: str, k: int, label: str | None) -> dict[str, Any]:
        """The hits of an uploaded file. Raises ImageError or BusyError."""
        self._admit()
        return self._run(lambda: self._search(self._reader.read(data, name), k, label))

    def search_url(self, url: str, k: int, label: str | None) -> dict[str, Any]:
        """The hits of the picture at a URL. Raises FetchError, ImageError or BusyError."""
        self._admit()
        limits = Limits(
            self.limits.max_upload_bytes,
            FETCH_LIMITS.timeout_s,
            FETCH_LIMITS.total_s,
            FETCH_LIMITS.n_attempts,
        )
        with RemoteClient(limits, allow_private=self._allow_private) as client:
            try:
                data = client.fetch(url).data
            except FetchError as exc:
                # What a server inside says is nobody's business: only that it was not taken.
                raise FetchError(f"That address gave no picture: {exc}") from exc
        return self._run(lambda: self._search(self._reader.read(data, url), k, label))

    def thumbnail(self, digest: str) -> bytes | None:
        """The small JPEG of a picture of the index."""
        return self._run(
            lambda: self._store.descriptors(THUMBNAIL_KEY, [digest]).get(digest), is_search=False
        )

    def n_images(self) -> int:
        """Count the pictures that can be found."""
        return self._run(lambda: self._store.n_keyed(), is_search=False)

    def close(self) -> None:
        """Close the index."""
        self._thread.submit(self._store.close).result()
        self._thread.shutdown()
        self._reader.close()

    def _search(self, query: Query, k: int, label: str | None) -> dict[str, Any]:
        started = time.perf_counter()
        hits = search(self._store, self._signals, query, self._settings, k=min(k, MAX_K), label=label)
        groups = groups_of(self._store, self._signals, hits, self._settings)
        return {
            "query": query.name,
            "seconds": round(time.perf_counter() - started, 3),
            "hits": [
                {**hit_document(hit), "digest": hit.record.digest, "group": group}
                for hit, group in zip(hits, groups, strict=True)
            ],
        }

    def _admit(self) -> None:
        """Count a search; raises BusyError where it is one too many in this minute."""
        now = time.monotonic()
        with self._lock:
            while self._starts and self._starts[0] <= now - 60:
                self._starts.popleft()
            if len(self._starts) >= self.limits.per_minute:
                raise BusyError("Too many searches in a minute", 60 - (now - self._starts[0]))
            self._starts.append(now)

    def _run(self, work: Callable[[], T], *, is_search: bool = True) -> T:
        with self._lock:
            if is_search and self._n_waiting >= self.limits.max_waiting:
                raise BusyError("Too many searches at once", 2.0)
            self._n_waiting += is_search
        try:
            future: Future[T] = self._thread.submit(work)
            return future.result()
        finally:
            with self._lock:
                self._n_waiting -= is_search
