"""What the functions on product photos take: pictures or features, labels, a profile."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cvsim.api.calls import Names, Paths
from cvsim.errors import UsageError
from cvsim.names import PathLike, path_texts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from cvsim.products.model import ProductModel
    from cvsim.progress import Progress
    from cvsim.recipes.products import Vectors
    from cvsim.settings import Settings

Labels = PathLike | Mapping[str, Any] | Sequence[Any]
"""A CSV or ``.npy`` file, labels by file, or one label an image in the order of the paths."""


def built_model(name: PathLike | None) -> ProductModel | None:
    """The trained profile of that file; None for the built-in one."""
    from cvsim.recipes.products import BUILT_IN, read_profile

    return None if name is None or name == BUILT_IN else read_profile(os.fsdecode(name))


def features_given(paths: Paths | NDArray[np.floating[Any]]) -> NDArray[np.float32] | None:
    """Features that were given as such: an array, or one ``.npy`` file."""
    from cvsim.recipes.products import as_features, load_features

    if hasattr(paths, "ndim"):
        return as_features(paths)
    several = [paths] if isinstance(paths, (str, bytes, os.PathLike)) else paths
    if not isinstance(several, Sequence) or len(several) != 1:
        return None
    file = os.fsdecode(several[0])
    return load_features(file) if file.lower().endswith(".npy") else None


def read_vectors(
    paths: Paths,
    settings: Settings,
    signals: Names | None,
    embedding: PathLike | None,
    model: ProductModel | None,
    listed: Iterable[str],
    progress: Progress | None,
    *,
    with_details: bool = False,
    labels: Labels | None = None,
) -> Vectors:
    """The pictures as vectors of the profile's signals, or of the ones that were named.

    Files that `labels` name must be there: that is looked at before any picture is read.
    """
    from cvsim.recipes import products as recipes

    if model is not None and signals:
        raise UsageError("signals belong to training; the profile has its own")
    chosen = [signals] if isinstance(signals, str) else signals
    network = None if embedding is None else os.fsdecode(embedding)
    features = (
        recipes.features_of(model, network) if model is not None else recipes.vector_features(chosen, network)
    )
    given = None if labels is None else labels_given(labels)
    return recipes.read_vectors(
        path_texts(paths),
        features,
        settings,
        listed=listed,
        with_details=with_details,
        named=given if isinstance(given, Mapping) else None,
        progress=progress,
    )


def labels_given(labels: Labels | ArrayLike) -> Any:
    """Labels by file, or an array of them."""
    import numpy as np

    from cvsim.groups.evaluation import read_labels

    if isinstance(labels, (str, bytes, os.PathLike)):
        return read_labels(os.fsdecode(labels))
    if isinstance(labels, Mapping):
        return {os.fsdecode(file): str(label) for file, label in labels.items()}
    return np.asarray(labels)


def labels_of(files: Sequence[str], labels: Labels | None, paths: Sequence[str] = ()) -> list[str]:
    """One label a file; "" for one that is not to be used."""
    from cvsim.recipes.labelling import labels_for

    return labels_for(files, None if labels is None else labels_given(labels), name_of(labels), paths)


def row_labels(labels: Labels, n: int) -> list[str]:
    """One label a row of an array."""
    from cvsim.recipes.labelling import labels_in_order

    return labels_in_order(labels_given(labels), n, name_of(labels))


def name_of(labels: Labels | None) -> str:
    """What to call labels in a message."""
    return os.fsdecode(labels) if isinstance(labels, (str, bytes, os.PathLike)) else "labels"
