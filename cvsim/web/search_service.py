"""What the search page asks: an index in a thread of its own, and limits on how often and how much."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from cvsim.errors import CvsimError, FetchError
from cvsim.fetch.client import Limits, RemoteClient
from cvsim.names import printable
from cvsim.reading.extraction import THUMBNAIL_KEY
from cvsim.recipes.search import Query, QueryReader, groups_of, indexed_query, search
from cvsim.reports.hits import hit_document
from cvsim.web.pictures import Pictures

if TYPE_CHECKING:
    from cvsim.recipes.opened_index import OpenedIndex

T = TypeVar("T")

MAX_K = 100
MAX_OFFSET = 1000
N_QUERIES_KEPT = 64
"""Queries whose descriptors are kept, for more hits of them and other filters."""
MAX_LABELS_NAMED, MAX_FOLDERS_NAMED = 300, 300
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


@dataclass(frozen=True, slots=True)
class WantedHits:
    """Which hits of a query are wanted.

    Attributes
    ----------
    k, offset : int
        So many, after so many.
    label, folder : str or None
        Only of files with this label, and below this folder.
    """

    k: int = 10
    offset: int = 0
    label: str | None = None
    folder: str | None = None


class UnknownError(CvsimError):
    """No such query or picture is known here."""


class BusyError(CvsimError):
    """Too much is asked at once; `after_s` says when to ask again."""

    def __init__(self, message: str, after_s: float) -> None:
        super().__init__(message)
        self.after_s = after_s


class SearchService:
    """An opened index for many requests; its store is touched by one thread only.

    Parameters
    ----------
    open_index : callable
        Opens the index; called in that thread.
    limits : SearchLimits
    allow_private : bool
        Whether a URL may lie in a private network.
    """

    def __init__(
        self,
        open_index: Callable[[], OpenedIndex],
        limits: SearchLimits,
        *,
        allow_private: bool = False,
    ) -> None:
        self.limits = limits
        self._allow_private = allow_private
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="search")
        self._lock = threading.Lock()
        self._n_waiting = 0
        self._starts: deque[float] = deque()
        self._queries: OrderedDict[str, Query] = OrderedDict()
        index = self._thread.submit(open_index).result()
        self._store, self._signals, self._settings = index.store, index.signals, index.settings
        self._reader = QueryReader(self._signals.features, limits.max_pixels)
        self._pictures = Pictures(self._paths_of, lambda: self._store)

    def search_bytes(self, data: bytes, name: str, wanted: WantedHits) -> dict[str, Any]:
        """The hits of an uploaded file. Raises ImageError or BusyError."""
        self._admit()
        return self._run(lambda: self._search(self._reader.read(data, name), wanted))

    def search_like(self, digest: str, wanted: WantedHits) -> dict[str, Any]:
        """The hits of a query that was asked before, or of a picture of the index.

        Raises UnknownError or BusyError.
        """
        self._admit()
        return self._run(lambda: self._search(self._known_query(digest), wanted))

    def _known_query(self, digest: str) -> Query:
        query = self._queries.get(digest) or indexed_query(self._store, self._signals, digest)
        if query is None:
            raise UnknownError("There is no such picture; look for the file once more")
        return query

    def search_url(self, url: str, wanted: WantedHits) -> dict[str, Any]:
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
        return self._run(lambda: self._search(self._reader.read(data, url), wanted))

    def thumbnail(self, digest: str) -> bytes | None:
        """The small JPEG of a picture of the index, or of a query that was asked before."""
        return self._run(lambda: self._thumbnail(digest), is_search=False)

    def _thumbnail(self, digest: str) -> bytes | None:
        asked = self._queries.get(digest)
        if asked is not None:
            return asked.kept.get(THUMBNAIL_KEY)
        return self._store.descriptors(THUMBNAIL_KEY, [digest]).get(digest)

    def picture(self, digest: str) -> bytes | None:
        """A large JPEG of a picture of the index; None where there is none. Raises ImageError."""
        try:
            return self._pictures.get(digest, "large")
        except KeyError:
            return None

    def _paths_of(self, digest: str) -> list[str]:
        paths = self._run(lambda: self._store.files_of([digest]).get(digest, []), is_search=False)
        return [os.fsdecode(path) for path in paths]

    def filters(self) -> dict[str, list[dict[str, Any]]]:
        """What a search can be narrowed to: the commonest labels and folders, and how many pictures each."""
        labels = self._run(lambda: self._store.labels(MAX_LABELS_NAMED), is_search=False)
        folders = self._run(lambda: self._store.folders(MAX_FOLDERS_NAMED), is_search=False)
        return {
            "labels": [{"name": name, "n": n} for name, n in labels],
            "folders": [{"path": printable(os.fsdecode(path)), "n": n} for path, n in folders],
        }

    def n_images(self) -> int:
        """Count the pictures that can be found."""
        return self._run(lambda: self._store.n_keyed(), is_search=False)

    def close(self) -> None:
        """Close the index."""
        self._pictures.close()
        self._thread.submit(self._store.close).result()
        self._thread.shutdown()
        self._reader.close()

    def _search(self, query: Query, wanted: WantedHits) -> dict[str, Any]:
        started = time.perf_counter()
        self._queries[query.digest] = query
        self._queries.move_to_end(query.digest)
        if len(self._queries) > N_QUERIES_KEPT:
            self._queries.popitem(last=False)
        n = min(wanted.offset, MAX_OFFSET) + min(wanted.k, MAX_K)
        folder = None if wanted.folder is None else os.fsencode(os.path.normpath(wanted.folder))
        hits = search(
            self._store, self._signals, query, self._settings, k=n + 1, label=wanted.label, folder=folder
        )
        shown = hits[:n]
        groups = groups_of(self._store, self._signals, shown, self._settings)
        found = [
            {**hit_document(hit), "digest": hit.record.digest, "group": group}
            for hit, group in zip(shown, groups, strict=True)
        ]
        return {
            "query": query.name,
            "query_digest": query.digest,
            "seconds": round(time.perf_counter() - started, 3),
            "offset": wanted.offset,
            "more": len(hits) > n and n < MAX_OFFSET,
            "hits": found[wanted.offset :],
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
