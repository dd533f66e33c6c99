"""Where descriptors, and whatever else is costly to compute, are kept between runs.

`open_store` opens any of them by location; `open_cache` the one that a run goes on without, and
`open_scratch` what serves a run that wants none. A new engine is one module and one line in `ENGINES`,
and the contract test proves it. Other packages add theirs under the entry point group `cvsim.stores`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from cvsim.errors import DamagedStoreError, StoreError, UsageError, WrongStoreError
from cvsim.stores.base import Extraction, ImageInfo, KeyInfo, KnownFile, Store, StoreInfo
from cvsim.stores.beside import BesideStore
from cvsim.stores.guard import CacheGuard
from cvsim.stores.memory import MemoryStore
from cvsim.stores.searchable import ImageKeys, Narrowing, SearchableStore
from cvsim.stores.sqlite import SqliteStore
from cvsim.stores.sqlite_file import Purpose, remove_sqlite
from cvsim.stores.sqlite_index import SqliteIndex

__all__ = [
    "ENGINES",
    "BesideStore",
    "CacheGuard",
    "Extraction",
    "ImageInfo",
    "ImageKeys",
    "KeyInfo",
    "KnownFile",
    "MemoryStore",
    "Narrowing",
    "SearchableStore",
    "SqliteIndex",
    "SqliteStore",
    "Store",
    "StoreInfo",
    "WrongStoreError",
    "clear_cache",
    "default_cache_path",
    "known_engines",
    "on_sound_store",
    "open_cache",
    "open_index",
    "open_run_store",
    "open_scratch",
    "open_store",
]

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

_log = logging.getLogger(__name__)
T = TypeVar("T")


def _milvus(location: str, create: bool) -> SearchableStore:
    from cvsim.stores.milvus import MilvusIndex

    return MilvusIndex(location, create=create)


def _opensearch(location: str, create: bool) -> SearchableStore:
    from cvsim.stores.opensearch import OpenSearchIndex

    return OpenSearchIndex(location, create=create)


STORE_ENTRY_POINTS = "cvsim.stores"
"""Packages add engines under this group, by scheme: a callable like those of `ENGINES`."""

ENGINES: dict[str, Callable[[str, bool], Store]] = {
    "memory": lambda location, create: MemoryStore(),
    "milvus": _milvus,
    "milvus+tls": _milvus,
    "milvus-lite": _milvus,
    "opensearch": _opensearch,
    "opensearch+https": _opensearch,
    "elasticsearch": _opensearch,
    "elasticsearch+https": _opensearch,
}
"""What opens a location, and makes what is missing there if it may, by the scheme of the location.

A location without a scheme is a file for SQLite."""


def default_cache_path() -> Path:
    """The cache in the user's cache folder."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("cvsim", appauthor=False)) / "cache.sqlite"


def open_store(location: str | os.PathLike[str], purpose: Purpose = "index") -> Store:
    """Open, or make, the store at a location.

    Parameters
    ----------
    location : str or path
        A file path, or the URL of an engine.
    purpose : "cache" or "index"
        Whether its content may be dropped and computed again.

    Raises
    ------
    UsageError
        No engine is known for the URL.
    StoreError
        The store cannot be used; the message says what to do.
    """
    text = os.fspath(location)
    return _of_engine(text, create=True) if "://" in text else SqliteStore(text, purpose)


def _of_engine(location: str, create: bool) -> Store:
    scheme = location.partition("://")[0]
    known = ENGINES if scheme in ENGINES else known_engines()
    if scheme not in known:
        schemes = ", ".join(f"{name}://" for name in sorted(known))
        raise UsageError(f"no engine is known for {location}; give a file path or one of {schemes}")
    return known[scheme](location, create)


def known_engines() -> dict[str, Callable[[str, bool], Store]]:
    """Every engine by scheme, those of other installed packages included."""
    from importlib.metadata import entry_points  # it takes a while, and so does looking through the packages

    added = {point.name: point for point in entry_points(group=STORE_ENTRY_POINTS)}
    return {**{name: _added(point) for name, point in added.items()}, **ENGINES}


def _added(point: EntryPoint) -> Callable[[str, bool], Store]:
    def opened(location: str, create: bool) -> Store:
        store: Store = point.load()(location, create)
        return store

    return opened


def open_index(location: str | os.PathLike[str], *, create: bool = True) -> SearchableStore:
    """Open a store that pictures can be found in.

    Parameters
    ----------
    location : str or path
        A file path, or the URL of an engine.
    create : bool
        Whether it is made where there is none.

    Raises
    ------
    UsageError
        The engine cannot search, or there is no index and none is to be made.
    StoreError
        The store cannot be used; the message says what to do.
    """
    text = os.fspath(location)
    if "://" not in text:
        if not create and not os.path.exists(text):
            raise UsageError(f"{text}: there is no index there; make it with cvsim index PATH --store {text}")
        return SqliteIndex(text)
    store = _of_engine(text, create)
    if not isinstance(store, SearchableStore):
        store.close()
        raise UsageError(f"{text} cannot be searched; give a file path")
    return store


def open_cache(location: str | os.PathLike[str] | None = None) -> CacheGuard:
    """Open the cache of a run that goes on without one where it fails.

    Where it cannot be opened (read-only, locked, full, damaged), a warning is logged, the guard's
    `failure` says why, and the run works in a scratch store.

    Parameters
    ----------
    location : str, path or None
        None is the cache in the user's cache folder.

    Raises
    ------
    WrongStoreError
        The file at `location` is something else than a cache: a mistake that must not be passed over.
    """
    try:
        return CacheGuard(open_store(default_cache_path() if location is None else location, "cache"))
    except WrongStoreError:
        raise
    except StoreError as error:
        _log.warning("%s. Going on without it", error)
        return open_scratch(str(error))


def open_run_store(cache: str | None) -> CacheGuard:
    """The store of one run.

    Parameters
    ----------
    cache : str or None
        The cache file; ``""``: the user's own; None: a scratch store that ends with the process.
    """
    return open_scratch() if cache is None else open_cache(cache or None)


def on_sound_store(cache: str | None, run: Callable[[CacheGuard], T]) -> T:
    """What `run` makes of the store of one run.

    Where the cache turns out to be damaged, what the run made of it counts for nothing: the rows that are
    damaged are removed, and it is made again; where that does not help, without the cache.

    Parameters
    ----------
    cache : str or None
        See `open_run_store`.
    run : callable
        Gets the store. It can be called again.
    """
    for _ in range(2):
        with open_run_store(cache) as store:
            try:
                found = run(store)
            except Exception as error:  # whatever damaged data led to, if it was damaged
                if not (store.is_damaged or isinstance(error, DamagedStoreError)):
                    raise
            else:
                if not store.is_damaged:
                    return found
            store.abandon()
            try:
                store.mend()  # there may be none left: the run wrote over those that it met first
            except StoreError as error:
                _log.info("%s", error)
                break
        _log.info("%s: damaged rows were removed; what they held is made anew", store.location)
    _log.warning("The cache %s is damaged; run cvsim cache clear. Going on without it", store.location)
    with open_scratch(f"the cache {store.location} is damaged") as scratch:
        return run(scratch)


def open_scratch(failure: str | None = None) -> CacheGuard:
    """Open a store for one run without a cache, with its large blobs on disk as long as there is room.

    Parameters
    ----------
    failure : str, optional
        Why there is no cache, if that was not intended.
    """
    return CacheGuard(SqliteStore(None), failure)


def clear_cache(location: str | os.PathLike[str] | None = None) -> bool:
    """Empty a cache, also a damaged one; False when there was none.

    Raises
    ------
    WrongStoreError
        The file at `location` is something else than a cache. It was not changed.
    StoreError
        It cannot be written.
    """
    path = default_cache_path() if location is None else Path(location)
    if not path.exists():
        return False
    try:
        with SqliteStore(path) as store:
            store.clear()
    except WrongStoreError:
        raise
    except StoreError:
        return remove_sqlite(path)
    return True
