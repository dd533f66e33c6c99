"""scikit-learn estimators: the product metric, grouping and classification as parts of a pipeline.

All take X as (n_images, n_dims) float; several signals stand beside each other, and `blocks` gives the
number of columns of each. A row of NaN within a block is "no evidence".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    ClusterMixin,
    TransformerMixin,
)
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from cvsim.arrays import holds_missing
from cvsim.errors import UsageError
from cvsim.products.gallery import Assignment, classify
from cvsim.products.grouping import group, untrained
from cvsim.products.metric import N_COMPONENTS, SHRINKAGE, fit_metric
from cvsim.products.model import ProductModel, SignalSource, fused
from cvsim.products.training import train

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class EstimatorError(UsageError, ValueError):
    """A `UsageError` that scikit-learn, which expects `ValueError`, understands."""


def _block_sizes(blocks: Sequence[int] | None, n_columns: int) -> list[int]:
    sizes = [n_columns] if blocks is None else [int(size) for size in blocks]
    if sum(sizes) != n_columns or min(sizes) < 1:
        raise EstimatorError(f"blocks {tuple(sizes)} do not add up to the {n_columns} columns of X")
    return sizes


def _split(X: NDArray[np.float64], sizes: Sequence[int]) -> list[NDArray[np.float32]]:
    return [np.asarray(part, np.float32) for part in np.split(X, np.cumsum(sizes)[:-1], axis=1)]


def _sources(n: int) -> list[SignalSource]:
    return [SignalSource(f"block-{i}", 1, {}) for i in range(n)]


def _rows(estimator: Any, X: ArrayLike, *, reset: bool) -> NDArray[np.float64]:
    found = validate_data(
        estimator,
        X,
        reset=reset,
        dtype=np.float64,
        ensure_all_finite="allow-nan",
        ensure_min_samples=2 if reset else 1,
    )
    return _clipped(found)


def _require_labels(y: object) -> None:
    if y is None:
        raise EstimatorError("requires y to be passed, but the target y is None: the product of each image")
    if holds_missing(np.asarray(y)):
        raise EstimatorError("a label is None or NaN (Input y contains NaN): each image needs its product")


def _clipped(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Finite in single precision, in which the metric is learned."""
    return np.clip(rows, -1e30, 1e30)


class _AllowsNaN:
    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.input_tags.allow_nan = True
        return tags


class ProductMetric(_AllowsNaN, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """A linear metric in which photos of one product lie close together.

    Parameters
    ----------
    blocks : sequence of int, optional
        Columns of each signal; all of X is one if not given.
    n_components : int
        Principal components kept of each signal.
    shrinkage : float
        In [0, 1]: share of the identity in the scatter within products.

    Attributes
    ----------
    maps_ : list of LinearMap
    n_features_in_ : int
    """

    def __init__(
        self,
        blocks: Sequence[int] | None = None,
        n_components: int = N_COMPONENTS,
        shrinkage: float = SHRINKAGE,
    ) -> None:
        self.blocks = blocks
        self.n_components = n_components
        self.shrinkage = shrinkage

    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> ProductMetric:
        """Learn from labelled vectors.

        Parameters
        ----------
        X : (n, n_dims) array
            One row an image; NaN within a block is "no evidence".
        y : (n,) array
            The product of each image.
        """
        _require_labels(y)
        rows = _rows(self, X, reset=True)
        labels = np.asarray(y).ravel()
        if len(labels) != len(rows):
            raise EstimatorError(f"{len(rows)} images and {len(labels)} labels: each image needs one")
        sizes = _block_sizes(self.blocks, rows.shape[1])
        try:
            self.maps_ = [
                fit_metric(block, labels, n_components=self.n_components, shrinkage=self.shrinkage)
                for block in _split(rows, sizes)
            ]
        except UsageError as exc:
            raise EstimatorError(str(exc)) from exc
        self._sizes = sizes
        self._n_features_out = sum(found.projection.shape[1] for found in self.maps_)
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float64]:
        """(n, n_components) of norm 1 (0 without evidence); inner products are mean cosines.

        Parameters
        ----------
        X : (n, n_dims) array
            One row an image; NaN within a block is "no evidence".
        """
        check_is_fitted(self)
        blocks = _split(_rows(self, X, reset=False), self._sizes)
        mapped = [m(block) for m, block in zip(self.maps_, blocks, strict=True)]
        return fused(mapped, [1 / len(mapped)] * len(mapped)).astype(np.float64)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


class ProductClusterer(_AllowsNaN, ClusterMixin, BaseEstimator):
    """Groups photos by product.

    Parameters
    ----------
    model : ProductModel, optional
        A trained model (see `read_model`); without one the collection's own spread is used.
    method : str, optional
        One of `cvsim.products.methods.METHODS`; the model's own if not given.
    threshold : float, optional
        Merges that are at least this probably right are made, in [0, 1].
    n_clusters : int, optional
        A given number of groups instead of a threshold.
    photos_per_product : float, optional
        About how many, within a factor of two, where no model is trained.
    blocks : sequence of int, optional
        Columns of each signal.

    Attributes
    ----------
    labels_ : (n,) int64 array
        From 0, in the order of first images.
    """

    def __init__(
        self,
        model: ProductModel | None = None,
        method: str | None = None,
        threshold: float | None = None,
        n_clusters: int | None = None,
        blocks: Sequence[int] | None = None,
        photos_per_product: float | None = None,
    ) -> None:
        self.model = model
        self.method = method
        self.threshold = threshold
        self.n_clusters = n_clusters
        self.blocks = blocks
        self.photos_per_product = photos_per_product

    def fit(self, X: ArrayLike, y: object = None) -> ProductClusterer:
        """Group vectors.

        Parameters
        ----------
        X : (n, n_dims) array
            One row an image; NaN within a block is "no evidence".
        y : ignored
        """
        rows = _rows(self, X, reset=True)
        blocks = _split(rows, _block_sizes(self.blocks, rows.shape[1]))
        try:
            model = self.model or untrained(blocks, _sources(len(blocks)))
            self.labels_ = group(
                model,
                blocks,
                method=self.method,
                threshold=self.threshold,
                n_clusters=self.n_clusters,
                photos_per_product=self.photos_per_product,
            ).labels
        except UsageError as exc:
            raise EstimatorError(str(exc)) from exc
        return self


class ProductClassifier(_AllowsNaN, ClassifierMixin, BaseEstimator):
    """Assigns photos to known products, or to none of them.

    Parameters
    ----------
    blocks : sequence of int, optional
        Columns of each signal.
    reject : bool
        Whether `predict` may answer "none of these": -1, or ``"-1"`` where labels are strings.
    random_state : int
        Seed of the partings that calibrate it.

    Attributes
    ----------
    classes_ : (n_classes,) array
    model_ : ProductModel
    """

    def __init__(
        self, blocks: Sequence[int] | None = None, reject: bool = True, random_state: int = 0
    ) -> None:
        self.blocks = blocks
        self.reject = reject
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> ProductClassifier:
        """Learn from labelled vectors.

        Parameters
        ----------
        X : (n, n_dims) array
            One row an image; NaN within a block is "no evidence".
        y : (n,) array
            The product of each image.
        """
        _require_labels(y)
        rows, labels = validate_data(
            self, X, y, reset=True, dtype=np.float64, ensure_all_finite="allow-nan", ensure_min_samples=2
        )
        check_classification_targets(labels)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        self._sizes = _block_sizes(self.blocks, rows.shape[1])
        blocks = _split(_clipped(rows), self._sizes)
        try:
            self.model_ = train(
                blocks, codes, _sources(len(blocks)), seed=self.random_state, with_grouping=False
            )
        except UsageError as exc:
            raise EstimatorError(f"{exc} (number of classes: {len(self.classes_)})") from exc
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """(n, n_classes); rows sum to 1, or with `reject` to the probability of any known product.

        Parameters
        ----------
        X : (n, n_dims) array
            One row an image; NaN within a block is "no evidence".
        """
        assigned = self._assign(X).products
        if self.reject:
            return assigned
        total = assigned.sum(axis=1, keepdims=True)
        shares: NDArray[np.float64] = np.where(
            total > 0, assigned / np.maximum(total, 1e-300), 1 / assigned.shape[1]
        )
        return shares

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """(n,) labels; -1 for none of these.

        Parameters
        ----------
        X : (n, n_dims) array
            One row an image; NaN within a block is "no evidence".
        """
        assigned = self._assign(X)
        labels: NDArray[Any] = self.classes_[assigned.products.argmax(axis=1)]
        if not self.reject:
            return labels
        if labels.dtype.kind in "US":
            labels = labels.astype(np.result_type(labels, np.dtype("U2")))
            labels[assigned.codes == -1] = "-1"
            return labels
        labels = labels.astype(object if labels.dtype.kind == "O" else np.result_type(labels, np.int64))
        labels[assigned.codes == -1] = -1
        return labels

    def _assign(self, X: ArrayLike) -> Assignment:
        check_is_fitted(self)
        return classify(self.model_, _split(_rows(self, X, reset=False), self._sizes))
