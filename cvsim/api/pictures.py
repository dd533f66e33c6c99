"""Pictures that are the same: `dedupe`, `compare`, `prefilter`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from cvsim.api.calls import (
    Names,
    Paths,
    asked_settings,
    public,
    warn_of_signals,
    working_folder,
)
from cvsim.api.compared import Compared
from cvsim.api.report import Report
from cvsim.executors.opencv_threads import one_opencv_thread
from cvsim.names import PathLike, path_texts
from cvsim.settings import PROFILES, Effort, Settings

if TYPE_CHECKING:
    from cvsim.images.source import ImageSource
    from cvsim.progress import Progress
    from cvsim.recipes.prefilter import Prefiltered


@public
@one_opencv_thread()
def dedupe(
    paths: Paths,
    *,
    settings: Settings | None = None,
    profile: PathLike | None = None,
    effort: Effort | None = None,
    threshold: float | None = None,
    signals: Names | None = None,
    embedding: PathLike | None = None,
    reference: Paths | None = None,
    between_only: bool | None = None,
    against: PathLike | None = None,
    keep: Names | None = None,
    include: Names | None = None,
    decisions: PathLike | None = None,
    cache: PathLike | None = "",
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
    listed: Iterable[str] = (),
    progress: Progress | None = None,
) -> Report:
    """Find groups of pictures that show the same photograph. Touches nothing.

    Parameters
    ----------
    paths : path or iterable of path
        Files and folders.
    settings : Settings, optional
        What the options that are not given are; the defaults if not given.
    profile : str or path, optional
        What counts as the same: ``"copy"``, ``"alike"`` (bursts and near views, to look at), or a file that
        `train` made.
    effort : "fast", "default" or "thorough", optional
        Which signals are worth their cost.
    threshold : float, optional
        The score, from 0 to 1 and inclusive, from which a pair is linked; the profile's if not given.
    signals : str or sequence of str, optional
        These signals instead of the profile's.
    embedding : str or path, optional
        An image network as one more signal: ``FILE.onnx``, ``KIND=FILE.onnx``, or a preset's name.
    reference : path or iterable of path, optional
        Folders that are looked at, too, whose files are never proposed for removal nor compared with each
        other.
    between_only : bool, optional
        Only pairs whose sides lie under different `paths`.
    against : str or path, optional
        An index of what is there already (see `Index`): only pairs with a file under `paths` are reported,
        and indexed files are never proposed for removal. They are not read again, and may be out of reach.
    keep : str or sequence of str, optional
        Which file of a group stays, by rules in order: ``"resolution,oldest"``; the profile's if not given.
    include : str or sequence of str, optional
        Relations that are proposed for removal besides full copies: ``"cropped"``; under ``"alike"``, they
        alone are.
    decisions : path, optional
        A file of remembered answers.
    cache : path or None, optional
        The cache file; None: no cache. The user's own if not given.
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
    listed : iterable of str
        More paths, from a list made earlier: one that is gone by now is skipped, not an error.
    progress : Progress, optional
        Told how far the work is; see `cvsim.progress`.

    Returns
    -------
    Report

    Raises
    ------
    UsageError
        A path does not exist, or a setting is wrong.
    CvsimError
        Something else that its message tells.

    Examples
    --------
    >>> report = cvsim.dedupe("photos", threshold=0.95)  # doctest: +SKIP
    >>> report.counts.duplicates                         # doctest: +SKIP
    31
    """
    from cvsim.reading.previews import ThumbnailSource
    from cvsim.recipes import dedupe as recipe

    asked = asked_settings(
        settings,
        profile=profile,
        effort=effort,
        threshold=threshold,
        signals=signals,
        embedding=embedding,
        reference=reference,
        between_only=between_only,
        against=against,
        keep=keep,
        include=include,
        decisions=decisions,
        cache=cache,
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
    warn_of_signals(asked)
    folder = working_folder()
    result = recipe.dedupe(path_texts(paths), asked, listed=listed, progress=progress)
    cache = os.path.join(folder, asked.cache) if asked.cache else asked.cache
    return Report(result, ThumbnailSource(cache, asked.n_workers, asked.against), folder=folder)


@public
@one_opencv_thread()
def compare(
    a: ImageSource,
    b: ImageSource,
    *,
    settings: Settings | None = None,
    profile: PathLike | None = None,
    effort: Effort | None = None,
    threshold: float | None = None,
    signals: Names | None = None,
    embedding: PathLike | None = None,
    cache: PathLike | None = "",
    workers: int | None = None,
) -> Compared:
    """Every signal of two pictures, its weight, and the score that `dedupe` would give the pair.

    Parameters
    ----------
    a, b : path, bytes, binary file, (H, W, 3) uint8 RGB array, or Pillow image
        A path is a str or path-like object; bytes, and what a file such as `io.BytesIO` holds, are the
        content of an image file. What is no path is called ``"a"`` or ``"b"`` in the result.
    settings : Settings, optional
        What the options that are not given are; the defaults if not given.
    profile : str or path, optional
        What counts as the same: ``"copy"``, ``"alike"`` (bursts and near views, to look at), or a file that
        `train` made.
    effort : "fast", "default" or "thorough", optional
        Which signals are worth their cost.
    threshold : float, optional
        The score, from 0 to 1 and inclusive, from which a pair is linked; the profile's if not given.
    signals : str or sequence of str, optional
        These signals instead of the profile's.
    embedding : str or path, optional
        An image network as one more signal: ``FILE.onnx``, ``KIND=FILE.onnx``, or a preset's name.
    cache : path or None, optional
        The cache file; None: no cache. The user's own if not given.
    workers : int, optional
        Threads; one a core if not given.

    Returns
    -------
    Compared

    Raises
    ------
    ImageError
        One of the two cannot be used; the message says why.
    UsageError
        A path does not exist or is a folder, an array has another shape or type, or a setting is wrong.

    Examples
    --------
    >>> pair = cvsim.compare("a.jpg", "b.jpg")  # doctest: +SKIP
    >>> pair.score, pair.relation               # doctest: +SKIP
    (0.9999, 'cropped')
    >>> pair.to_picture("why.png")              # doctest: +SKIP
    """
    from cvsim.images.source import in_memory
    from cvsim.recipes import compare as recipe

    asked = asked_settings(
        settings,
        profile=profile,
        effort=effort,
        threshold=threshold,
        signals=signals,
        embedding=embedding,
        cache=cache,
        workers=workers,
    )
    warn_of_signals(asked)
    first, second = in_memory(a), in_memory(b)
    found = recipe.compare(first, second, asked)
    return Compared(found, (_lasting(first), _lasting(second)), _lasting_settings(asked))


@public
@one_opencv_thread()
def prefilter(
    paths: Paths,
    *,
    recall: float = 0.99,
    n_sampled: int | None = None,
    settings: Settings | None = None,
    profile: PathLike | None = None,
    effort: Effort | None = None,
    threshold: float | None = None,
    signals: Names | None = None,
    embedding: PathLike | None = None,
    reference: Paths | None = None,
    between_only: bool | None = None,
    cache: PathLike | None = "",
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
    listed: Iterable[str] = (),
    progress: Progress | None = None,
) -> Prefiltered:
    """The pairs of pictures that are worth a heavier system's time, best first.

    Parameters
    ----------
    paths : path or iterable of path
        Files and folders.
    recall : float
        Share of the true pairs to keep, over 0 and at most 1. What is reached is measured on copies made of
        a few of the pictures, and stated in the result.
    n_sampled : int, optional
        Of how many pictures copies are made; 32 if not given.
    settings : Settings, optional
        What the options that are not given are; the defaults if not given.
    profile : str or path, optional
        What counts as the same: ``"copy"``, or a file that `train` made.
    effort : "fast", "default" or "thorough", optional
        Which signals are worth their cost.
    threshold : float, optional
        The score, from 0 to 1 and inclusive, from which a pair is linked; the profile's if not given.
    signals : str or sequence of str, optional
        These signals instead of the profile's.
    embedding : str or path, optional
        An image network as one more signal: ``FILE.onnx``, ``KIND=FILE.onnx``, or a preset's name.
    reference : path or iterable of path, optional
        Folders that are looked at, too, whose files are never proposed for removal nor compared with each
        other.
    between_only : bool, optional
        Only pairs whose sides lie under different `paths`.
    cache : path or None, optional
        The cache file; None: no cache. The user's own if not given.
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
    listed : iterable of str
        More paths, from a list made earlier: one that is gone by now is skipped, not an error.
    progress : Progress, optional
        Told how far the work is; see `cvsim.progress`.

    Returns
    -------
    Prefiltered
        Iterate over it for pairs with `a`, `b` and `score`; identical files first, each with the first of
        its kind.

    Raises
    ------
    UsageError
        A path does not exist, or a setting is wrong.

    Examples
    --------
    >>> for pair in cvsim.prefilter("photos"):  # doctest: +SKIP
    ...     look_closer(pair.a, pair.b)
    """
    from cvsim.recipes import prefilter as recipe

    asked = asked_settings(
        settings,
        profile=profile,
        effort=effort,
        threshold=threshold,
        signals=signals,
        embedding=embedding,
        reference=reference,
        between_only=between_only,
        cache=cache,
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
    warn_of_signals(asked)
    return recipe.prefilter(
        path_texts(paths),
        asked,
        recall=recall,
        n_sampled=n_sampled or recipe.N_SAMPLED,
        listed=listed,
        progress=progress,
    )


def _lasting(source: ImageSource) -> ImageSource:
    """A path that means the same file wherever the process goes."""
    return os.path.abspath(source) if isinstance(source, (str, os.PathLike)) else source


def _lasting_settings(settings: Settings) -> Settings:
    if settings.profile in PROFILES:
        return settings
    return replace(settings, profile=os.path.abspath(settings.profile))
