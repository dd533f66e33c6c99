"""`Index`: pictures kept so that one can be looked for among them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

from cvsim.names import PathLike, path_texts
from cvsim.settings import Settings, with_values

if TYPE_CHECKING:
    from cvsim.images.source import ImageSource
    from cvsim.progress import Progress
    from cvsim.recipes.index import IndexReport, Signals
    from cvsim.recipes.search import Query
    from cvsim.stores import SearchableStore
    from cvsim.types import Hit


class Index:
    """Pictures kept so that one can be looked for among them. Open one with `Index.open`.

    A context manager. All calls come from one thread; several processes may use one index at once.

    Attributes
    ----------
    store : SearchableStore
    signals : Signals
    settings : Settings
    """

    def __init__(self, store: SearchableStore, signals: Signals, settings: Settings) -> None:
        self.store, self.signals, self.settings = store, signals, settings

    @classmethod
    def open(
        cls,
        location: str | os.PathLike[str],
        *,
        create: bool = True,
        settings: Settings | None = None,
        **options: Any,
    ) -> Index:
        """Open the index at a location, or make one.

        Parameters
        ----------
        location : str or path
            A file, or the URL of an engine: ``milvus://HOST:PORT/NAME`` for a server,
            ``milvus-lite://FILE`` for an embedded Milvus.
        create : bool
            Whether an index is made where there is none.
        settings : Settings, optional
            The defaults if not given. An index is searched with the `effort` and `signals` it was made with.
        **options
            Single settings by name, over those of `settings`: ``workers=2``.

        Raises
        ------
        UsageError
            There is none, and none is to be made.
        StoreError
            It cannot be used: the message says why and what to do.
        """
        from cvsim.recipes import index as indexing
        from cvsim.stores import open_index

        asked = with_values(settings or Settings(), options)
        signals = indexing.Signals.of(asked)
        store = open_index(location, create=create)
        try:
            indexing.check_signals(store, signals)
        except BaseException:
            store.close()
            raise
        return cls(store, signals, asked)

    def add(
        self,
        paths: Iterable[PathLike] = (),
        *,
        labels: str | os.PathLike[str] | None = None,
        listed: Iterable[str] = (),
        progress: Progress | None = None,
    ) -> IndexReport:
        """Bring the index up to date with the files under `paths`.

        New and changed files are read, renamed ones recognised, vanished ones forgotten. May be killed at any
        moment and run again: nothing is read twice.

        Parameters
        ----------
        paths : iterable of path
            Files and folders.
        labels : path, optional
            A CSV ``file,label``, files relative to one of `paths`; a file may have several rows.
        listed : iterable of str
            More paths, of which those that are gone are skipped.
        progress : Progress, optional

        Returns
        -------
        IndexReport
        """
        from cvsim.recipes import index as indexing

        roots = path_texts(paths)
        found = [] if labels is None else indexing.read_index_labels(labels, roots)
        return indexing.add(
            self.store, self.signals, roots, self.settings, labels=found, listed=listed, progress=progress
        )

    def search(self, query: ImageSource | Query, k: int = 10, *, label: str | None = None) -> list[Hit]:
        """The pictures of the index that are copies of the query, then those that look alike.

        Parameters
        ----------
        query : path, (H, W, 3) uint8 RGB array, Pillow image or Query
        k : int
            At most so many.
        label : str, optional
            Only files with this label.

        Returns
        -------
        list of Hit
            Copies by falling score, then look-alikes by falling score.

        Raises
        ------
        ImageError
            The query cannot be used.
        """
        from cvsim.recipes import search as searching

        asked = (
            query if isinstance(query, searching.Query) else searching.Query.of(query, self.signals.features)
        )
        return searching.search(self.store, self.signals, asked, self.settings, k=k, label=label)

    def remove(self, paths: Iterable[PathLike]) -> int:
        """Forget the files at or under `paths`, whether they are still there or not.

        Parameters
        ----------
        paths : iterable of path

        Returns
        -------
        int
            How many were known.
        """
        from cvsim.recipes import index as indexing

        roots = path_texts(paths)
        return indexing.remove(self.store, roots)

    def close(self) -> None:
        """Close the store; a second call does nothing."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
