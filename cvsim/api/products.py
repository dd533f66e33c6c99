"""Product photos: `cluster`, `train`, `train_network`, `classify`."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from cvsim.api.calls import Names, Paths, asked_settings, public
from cvsim.api.product_inputs import (
    Labels,
    built_model,
    features_given,
    labels_given,
    labels_of,
    name_of,
    read_vectors,
)
from cvsim.api.product_results import Classified, Clusters, Trained, TrainedNetwork
from cvsim.errors import UsageError
from cvsim.executors.opencv_threads import one_opencv_thread
from cvsim.names import PathLike, path_texts
from cvsim.progress import SilentProgress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cvsim.progress import Progress
    from cvsim.settings import Settings


@public
@one_opencv_thread()
def cluster(
    paths: Paths | NDArray[np.floating[Any]],
    *,
    profile: PathLike | None = None,
    threshold: float | None = None,
    method: str | None = None,
    n_clusters: int | None = None,
    photos_per_product: float | None = None,
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
) -> Clusters:
    """Group product photos, or the rows of an array of features, by product.

    Parameters
    ----------
    paths : path, iterable of path, or (n, n_dims) float array
        Files and folders, or one ``.npy`` file of features, or the features themselves.
    profile : str or path, optional
        ``"product"``, which needs no training, or a file that `train` made.
    threshold : float, optional
        Join what is at least this sure to be one product; for features without a profile, what is at least
        this similar. The profile's if not given.
    method : str, optional
        ``"measured"``, ``"components"``, ``"average"``, ``"ward"``, ``"kmeans"``, ``"density"`` or
        ``"chance"``; the profile's if not given, which is ``"measured"`` for the built-in one: the number of
        groups is what the collection itself shows.
    n_clusters : int, optional
        Make this many groups.
    photos_per_product : float, optional
        About how many photos each product has: within a factor of two is enough.
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
    Clusters

    Raises
    ------
    UsageError
        A path does not exist, no picture can be read, or an option is wrong.
    """
    from cvsim.recipes import products as recipes

    if sum(given is not None for given in (threshold, n_clusters, photos_per_product)) > 1:
        raise UsageError("threshold, n_clusters and photos_per_product exclude each other")
    if photos_per_product is not None and not 1 <= photos_per_product < math.inf:
        raise UsageError("photos_per_product is a number of photos, 1 or more")
    model = built_model(profile)
    how: dict[str, Any] = {"method": method, "threshold": threshold, "n_clusters": n_clusters}
    how["photos_per_product"] = photos_per_product
    table = features_given(paths)
    if table is not None:
        found = recipes.cluster_features(table, model, **how)
        names = tuple(map(str, range(len(found.labels))))
        return Clusters(names, found.labels, (), found.alternative, found.many_photos)
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
    with (progress or SilentProgress()).task("Grouping", None):
        found = recipes.cluster(vectors, model, **how)
    profile_of = functools.partial(recipes.profile_of_groups, vectors, found) if model is None else None
    return Clusters(
        vectors.files, found.labels, vectors.skipped, found.alternative, found.many_photos, profile_of
    )


@public
@one_opencv_thread()
def train(
    paths: Paths,
    *,
    labels: Labels | None = None,
    seed: int = 0,
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
) -> Trained:
    """Learn from labelled product photos what makes two of them the same product.

    How well it does is measured on products that were held out.

    Parameters
    ----------
    paths : path or iterable of path
        Files and folders.
    labels : path, mapping or sequence, optional
        A CSV with ``file`` and ``label``, a ``.npy`` of integers, labels by file, or one label a picture in
        the order of the paths. The folder that each picture is in if not given.
    seed : int
        Of how products are held out.
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
    Trained

    Raises
    ------
    UsageError
        A path does not exist, no picture can be read, or an option is wrong.
    """
    from cvsim.recipes import products as recipes

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
    vectors = read_vectors(
        paths, asked, signals, embedding, None, listed, progress, with_details=True, labels=labels
    )
    found = labels_of(vectors.files, labels, vectors.paths)
    return Trained(recipes.train_profile(vectors, found, seed=seed, progress=progress), vectors.skipped)


@public
@one_opencv_thread()
def train_network(
    paths: Paths,
    *,
    labels: Labels | None = None,
    fine_tune: PathLike | None = None,
    n_epochs: int | None = None,
    seed: int = 0,
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
) -> TrainedNetwork:
    """Learn an image network: an autoencoder without labels, or a given network tuned to labelled photos.

    Needs the extra ``torch``.

    Parameters
    ----------
    paths : path or iterable of path
        Files and folders.
    labels : path, mapping or sequence, optional
        For tuning, as in `train`: the folder that each picture is in if not given.
    fine_tune : str or path, optional
        The network to tune: ``FILE.onnx``, ``KIND=FILE.onnx``, or a preset's name. An autoencoder if not
        given.
    n_epochs : int, optional
        How often it sees each picture: 40 times for an autoencoder and 4 for tuning if not given.
    seed : int
        Of its first weights, or of the order in which it sees the photos.
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
    TrainedNetwork

    Raises
    ------
    UsageError
        A path does not exist, no picture can be read, or an option is wrong.
    """
    from cvsim.recipes import products as recipes

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
    if fine_tune is not None:
        from cvsim.recipes.fine_tuning import tune_network

        onnx, skipped = tune_network(
            path_texts(paths),
            None if labels is None else labels_given(labels),
            os.fsdecode(fine_tune),
            asked,
            labels_name=name_of(labels),
            n_epochs=n_epochs,
            seed=seed,
            listed=listed,
            progress=progress,
        )
        return TrainedNetwork(onnx, skipped)
    if labels is not None:
        raise UsageError("an autoencoder takes no labels; give fine_tune, the network to tune")
    vectors = read_vectors(paths, asked, None, None, None, listed, progress)
    onnx = recipes.train_autoencoder(vectors, n_epochs=n_epochs, seed=seed, progress=progress)
    return TrainedNetwork(onnx, vectors.skipped)


@public
@one_opencv_thread()
def classify(
    paths: Paths,
    profile: PathLike,
    *,
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
) -> Classified:
    """Assign photos to the products that a profile knows, or to none of them.

    Parameters
    ----------
    paths : path or iterable of path
        Files and folders.
    profile : path
        The file that `train` made.
    embedding : str or path, optional
        The network that the profile was trained with, if any.
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
    Classified

    Raises
    ------
    UsageError
        A path does not exist, no picture can be read, or an option is wrong.
    """
    from cvsim.recipes import products as recipes

    model = recipes.read_profile(os.fsdecode(profile))
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
    gallery = model.gallery
    with_details = gallery is not None and gallery.details is not None
    vectors = read_vectors(paths, asked, None, embedding, model, listed, progress, with_details=with_details)
    found = recipes.assign(vectors, model)
    names = () if gallery is None else gallery.labels
    labels = tuple(names[code] if code >= 0 else None for code in found.codes.tolist())
    return Classified(vectors.files, labels, found.codes, found.probability, vectors.skipped)
