"""Vectors of pictures, and groupings of them: `extract_features`, `plot`, `evaluate`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

from cvsim.api.calls import Names, Paths, asked_settings, public
from cvsim.api.product_inputs import (
    Labels,
    built_model,
    features_given,
    labels_given,
    labels_of,
    read_vectors,
    row_labels,
)
from cvsim.api.product_results import Drawing, FeatureTable
from cvsim.executors.opencv_threads import one_opencv_thread
from cvsim.names import PathLike

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from cvsim.groups.evaluation import Evaluation
    from cvsim.progress import Progress
    from cvsim.settings import Settings


@public
def evaluate(predicted: Labels | ArrayLike, answers: Labels | ArrayLike) -> Evaluation:
    """Measure a grouping against the right answers.

    Parameters
    ----------
    predicted, answers : path, mapping or sequence
        A CSV with ``file`` and ``label``, a ``.npy`` of integers in the order of the paths, labels by file,
        or one label an image.

    Returns
    -------
    Evaluation
        Every figure is 1 for a perfect grouping.

    Raises
    ------
    UsageError
        One cannot be read, or the two are not about the same images.
    """
    from cvsim.groups.evaluation import align_labels, evaluate as measure

    return measure(*align_labels(labels_given(predicted), labels_given(answers)))


@public
@one_opencv_thread()
def extract_features(
    paths: Paths,
    *,
    signals: Names | None = None,
    embedding: PathLike | None = None,
    settings: Settings | None = None,
    cache: PathLike | None = "",
    workers: int | None = None,
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
) -> FeatureTable:
    """The vectors of pictures, one row each, in the order of their paths.

    Parameters
    ----------
    paths : path or iterable of path
        Files and folders.
    signals : str or sequence of str, optional
        These signals: vectors only.
    embedding : str or path, optional
        An image network as one more signal: ``FILE.onnx``, ``KIND=FILE.onnx``, or a preset's name.
    settings : Settings, optional
        Which files are taken, cache and workers, where these options are not given.
    cache : path or None, optional
        The cache file; None: no cache. The user's own if not given.
    workers : int, optional
        Threads; one a core if not given.
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
    FeatureTable

    Raises
    ------
    UsageError
        A path does not exist, no picture can be read, or an option is wrong.
    """
    import numpy as np

    asked = asked_settings(
        settings,
        cache=cache,
        workers=workers,
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
    vectors = read_vectors(paths, asked, signals, embedding, None, listed, progress)
    return FeatureTable(vectors.files, np.hstack(vectors.blocks).astype(np.float32), vectors.skipped)


@public
@one_opencv_thread()
def plot(
    paths: Paths | NDArray[np.floating[Any]],
    *,
    labels: Labels | None = None,
    layout: Literal["tsne", "pca"] = "tsne",
    profile: PathLike | None = None,
    signals: Names | None = None,
    embedding: PathLike | None = None,
    settings: Settings | None = None,
    cache: PathLike | None = "",
    workers: int | None = None,
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
) -> Drawing:
    """Lay pictures out, or the rows of an array of features, so that like lies by like.

    Parameters
    ----------
    paths : path, iterable of path, or (n, n_dims) float array
        Files and folders, or one ``.npy`` file of features, or the features themselves.
    labels : path, mapping or sequence, optional
        Colours and groups: see `train`. Grouped by `cluster` if not given.
    layout : "tsne" or "pca"
    profile : str or path, optional
        ``"product"``, which needs no training, or a file that `train` made.
    signals : str or sequence of str, optional
        These signals: vectors only.
    embedding : str or path, optional
        An image network as one more signal: ``FILE.onnx``, ``KIND=FILE.onnx``, or a preset's name.
    settings : Settings, optional
        Which files are taken, cache and workers, where these options are not given.
    cache : path or None, optional
        The cache file; None: no cache. The user's own if not given.
    workers : int, optional
        Threads; one a core if not given.
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
    Drawing
        To be written as a map, a page, or a folder of contact sheets.

    Raises
    ------
    UsageError
        A path does not exist, no picture can be read, or an option is wrong.
    """
    from cvsim.recipes import products as recipes

    model = built_model(profile)
    table = features_given(paths)
    if table is not None:
        names = tuple(map(str, range(len(table))))
        if labels is None:
            groups = recipes.cluster_features(table, model).labels
            found = tuple(map(str, groups.tolist()))
        else:
            found = tuple(row_labels(labels, len(table)))
        return Drawing(names, table, found, (None,) * len(table), layout)
    asked = asked_settings(
        settings,
        cache=cache,
        workers=workers,
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
    vectors = read_vectors(paths, asked, signals, embedding, model, listed, progress)
    if labels is None:
        found = tuple(map(str, recipes.cluster(vectors, model).labels.tolist()))
    else:
        found = tuple(labels_of(vectors.files, labels, vectors.paths))
    fused = recipes.fused_vectors(vectors, model)
    return Drawing(vectors.files, fused, found, vectors.thumbnails, layout, vectors.skipped)
