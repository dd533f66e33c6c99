"""`Index`: pictures kept so that one can be looked for among them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Self

from cvsim.api.calls import Names, Paths, asked_settings, public
from cvsim.errors import SettingsError
from cvsim.executors.opencv_threads import one_opencv_thread
from cvsim.names import PathLike, path_texts
from cvsim.settings import EFFORTS, Effort, Settings

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
    @public
    def open(
        cls,
        location: str | os.PathLike[str],
        *,
        create: bool = True,
        settings: Settings | None = None,
        profile: PathLike | None = None,
        effort: Effort | None = None,
        signals: Names | None = None,
        embedding: PathLike | None = None,
        workers: int | None = None,
        scheduler: str | None = None,
        exclude: Names | None = None,
        hidden: bool | None = None,
        follow_symlinks: bool | None = None,
        one_file_system: bool | None = None,
        max_depth: int | None = None,
        include_ext: Names | None = None,
        exclude_ext: Names | None = None,
        min_size_bytes: int | str | None = None,
        max_size_bytes: int | str | None = None,
        min_pixels: int | str | None = None,
    ) -> Index:
        """Open the index at a location, or make one.

        Parameters
        ----------
        location : str or path
            A file, or the URL of an engine: ``milvus://HOST:PORT/NAME`` or ``opensearch://HOST:PORT/NAME``
            for a server, ``milvus-lite://FILE`` for an embedded Milvus.
        create : bool
            Whether an index is made where there is none.
        settings : Settings, optional
            What the options that are not given are; the defaults if not given. An index knows the `effort`,
            `signals` and `embedding` that it was made with: they need not be given again.
        profile : str or path, optional
            Score look-alikes by a file that `train` made.
        effort : "fast", "default" or "thorough", optional
            Which signals are worth their cost.
        signals : str or sequence of str, optional
            These signals instead of the profile's.
        embedding : str or path, optional
            An image network as one more signal: ``FILE.onnx``, ``KIND=FILE.onnx``, or a preset's name.
        workers : int, optional
            Threads; one a core if not given.
        scheduler : str, optional
            Let the workers of this Dask scheduler do the work: ``"local:4"``, ``"tcp://HOST:PORT"``.
        exclude : str or sequence of str, optional
            Patterns of files and folders to leave out: ``"*.tmp.jpg"``.
        hidden : bool, optional
            Take hidden files and folders, too.
        follow_symlinks : bool, optional
            Go where symbolic links lead.
        one_file_system : bool, optional
            Stay on the file system of the folder that was named.
        max_depth : int, optional
            How many levels of folders are entered; 1 is the named folder alone.
        include_ext, exclude_ext : str or sequence of str, optional
            Take only, and leave out, files whose names end so: ``"jpg"``.
        min_size_bytes : int or str, optional
            Leave out smaller files: 2000, ``"10k"``.
        max_size_bytes : int or str, optional
            Leave out larger files.
        min_pixels : int or str, optional
            Leave out pictures of fewer pixels: 300000, ``"0.3M"``, ``"640x480"``.

        Raises
        ------
        UsageError
            There is none, and none is to be made.
        StoreError
            It cannot be used: the message says why and what to do.
        """
        from cvsim.recipes.opened_index import open_searchable

        asked = asked_settings(
            settings,
            profile=profile,
            effort=effort,
            signals=signals,
            embedding=embedding,
            workers=workers,
            scheduler=scheduler,
            exclude=exclude,
            hidden=hidden,
            follow_symlinks=follow_symlinks,
            one_file_system=one_file_system,
            max_depth=max_depth,
            include_ext=include_ext,
            exclude_ext=exclude_ext,
            min_size_bytes=min_size_bytes,
            max_size_bytes=max_size_bytes,
            min_pixels=min_pixels,
        )
        opened = open_searchable(location, asked, create=create)
        return cls(opened.store, opened.signals, opened.settings)

    @one_opencv_thread()
    def add(
        self,
        paths: Paths = (),
        *,
        labels: str | os.PathLike[str] | None = None,
        by_label: bool = False,
        listed: Iterable[str] = (),
        forget: bool = False,
        also: Names = (),
        progress: Progress | None = None,
    ) -> IndexReport:
        """Bring the index up to date with the files under `paths`.

        New and changed files are read, renamed ones recognised. Files that are not there stay known: their
        drive may be away. May be killed at any moment and run again: nothing is read twice.

        Parameters
        ----------
        paths : path or iterable of path
            Files and folders.
        labels : path, optional
            A CSV ``file,label``, files relative to one of `paths`; a file may have several rows.
        by_label : bool
            Label files by the ``labels.csv`` that lies in one of `paths`, as `fetch` leaves it, or else by
            the folder directly below one of `paths` that they lie in.
        listed : iterable of str
            More paths, of which those that are gone are skipped.
        forget : bool
            Forget the files under `paths` that are not there.
        also : str or sequence of str
            Keep what `dedupe` needs against this index at these efforts, too: ``"fast"``. It is remembered.
        progress : Progress, optional

        Returns
        -------
        IndexReport

        Raises
        ------
        UsageError
            A path does not exist, or an effort is not known.
        """
        from cvsim.recipes import index as indexing

        roots = path_texts(paths)
        found = [] if labels is None else indexing.read_index_labels(labels, roots)
        efforts = also.split(",") if isinstance(also, str) else list(also)
        if unknown := [effort for effort in filter(None, efforts) if effort not in EFFORTS]:
            raise SettingsError(f"{unknown[0]!r} is no effort; choose from {', '.join(EFFORTS)}")
        return indexing.add(
            self.store,
            self.signals,
            roots,
            self.settings,
            labels=found,
            by_label=by_label,
            listed=listed,
            forget=forget,
            also=efforts,
            progress=progress,
        )

    @one_opencv_thread()
    def search(
        self,
        query: ImageSource | Query,
        k: int = 10,
        *,
        label: str | None = None,
        folder: str | os.PathLike[str] | None = None,
    ) -> list[Hit]:
        """The pictures of the index that are copies of the query, then those that look alike.

        Parameters
        ----------
        query : path, bytes, binary file, (H, W, 3) uint8 RGB array, Pillow image or Query
            A path is a str or path-like object; bytes, and what a file such as `io.BytesIO` holds, are the
            content of an image file, which is decoded where it can do no harm.
        k : int
            At most so many.
        label : str, optional
            Only files with this label.
        folder : path, optional
            Only files below this folder.

        Returns
        -------
        list of Hit
            Copies by falling score, then look-alikes by falling score.

        Raises
        ------
        ImageError
            The query cannot be used.
        """
        from cvsim.images.source import content_bytes, is_encoded
        from cvsim.recipes import search as searching

        if isinstance(query, searching.Query):
            asked = query
        elif is_encoded(query):
            with searching.QueryReader(self.signals.features) as reader:
                asked = reader.read(content_bytes(query), "picture")
        else:
            asked = searching.Query.of(query, self.signals.features)
        below = None if folder is None else os.fsencode(os.path.abspath(folder))
        return searching.search(
            self.store, self.signals, asked, self.settings, k=k, label=label, folder=below
        )

    def remove(self, paths: Paths) -> int:
        """Forget the files at or under `paths`, whether they are still there or not.

        Parameters
        ----------
        paths : path or iterable of path

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
