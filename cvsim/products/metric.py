"""A linear metric for one signal: directions in which photos of one product differ count for little.

Within-class covariance normalisation (Hatch, Kajarekar and Stolcke, 2006): vectors are centred, reduced by
principal components, and multiplied by the inverse square root of the scatter within products, which is
shrunk towards a multiple of the identity since there are seldom photos enough to know it well. What is
learned from some products holds for others, because pose, light and background vary alike in all.

Without labels, the scatter of the whole collection is evened out in part instead (`spread_evenly`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.linalg import eigh

from cvsim.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

N_COMPONENTS = 200
SHRINKAGE = 0.03
WHITENING_POWER = 0.25
"""The exponent that evens variances out without labels: 0 changes nothing, 0.5 makes all of them equal."""
WHITENING_COMPONENTS = 128
WHITENING_FLOOR = 0.02
"""The share of the largest variance that is added to each, so that noise is not amplified."""


@dataclass(frozen=True, eq=False)
class LinearMap:
    """``normalise((vectors - mean) @ projection)``.

    Attributes
    ----------
    mean : (n_dims,) float32
    projection : (n_dims, n_components) float32
    """

    mean: NDArray[np.float32]
    projection: NDArray[np.float32]

    def __call__(self, vectors: NDArray[np.float32], *, recentre: bool = False) -> NDArray[np.float32]:
        """Map (n, n_dims) to (n, n_components) of norm 1; a row with NaN ("no evidence") becomes zeros.

        With `recentre` the mean of these vectors takes the place of the learned one: light and background
        of a whole collection often differ from those of the training set.
        """
        known = np.isfinite(vectors).all(axis=1)
        mapped = np.zeros((len(vectors), self.projection.shape[1]), np.float32)
        if known.any():
            rows = vectors[known]
            mean = rows.mean(axis=0) if recentre and len(rows) > 1 else self.mean
            mapped[known] = normalised((rows - mean) @ self.projection)
        return mapped


def has_evidence(blocks: Sequence[NDArray[np.float32]]) -> NDArray[np.bool_]:
    """(n,) whether any of the signals gave a vector for the picture."""
    is_known: NDArray[np.bool_] = np.any([np.isfinite(block).all(axis=1) for block in blocks], axis=0)
    return is_known


def normalised(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of norm 1; rows of zeros stay."""
    unit: NDArray[np.float32] = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return unit


def reduce(vectors: NDArray[np.float32], n_components: int) -> LinearMap:
    """Principal components of the rows without NaN, at most `n_components` of them."""
    rows = vectors[np.isfinite(vectors).all(axis=1)]
    if len(rows) < 2:
        raise UsageError("a signal gave evidence for fewer than two of the pictures; leave it out")
    mean = rows.mean(axis=0)
    centred = (rows - mean).astype(np.float64)
    # Of the smaller of the two products of the matrix with itself: the same subspace for less work.
    if len(rows) < rows.shape[1]:
        values, left = _largest(centred @ centred.T, n_components)
        # Pictures that are all alike have no direction at all: zeros, not a division by zero.
        directions = centred.T @ (left / np.sqrt(np.maximum(values, 1e-12)))
    else:
        directions = _largest(centred.T @ centred, n_components)[1]
    return LinearMap(mean.astype(np.float32), directions.astype(np.float32))


def _largest(matrix: NDArray[np.float64], n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The `n` largest eigenvalues, largest first, and their vectors as columns, without rounding error."""
    size = len(matrix)
    values, vectors = eigh(matrix, subset_by_index=(max(0, size - n), size - 1), check_finite=False)
    values, vectors = values[::-1], vectors[:, ::-1]
    n_kept = max(1, int((values > 1e-9 * max(values[0], 1e-12)).sum()))
    return values[:n_kept], vectors[:, :n_kept]


def whiten_within(
    vectors: NDArray[np.floating[Any]], labels: ArrayLike, shrinkage: float = SHRINKAGE
) -> NDArray[np.float32]:
    """The (n_components, n_components) matrix that evens out the scatter within classes.

    Parameters
    ----------
    vectors : (n, n_components) float array
        Reduced and centred; rows without evidence are left out by the caller.
    labels : (n,) array
    shrinkage : float
        In [0, 1]: share of the identity in the scatter.

    Raises
    ------
    UsageError
        No class has two images.
    """
    codes = np.unique(np.asarray(labels), return_inverse=True)[1]
    sizes = np.bincount(codes)
    if (sizes < 2).all():
        raise UsageError("every product has a single picture: at least one needs two to learn from")
    rows = vectors.astype(np.float64)
    means = np.zeros((len(sizes), rows.shape[1]))
    np.add.at(means, codes, rows)
    deviations = rows - (means / sizes[:, None])[codes]
    scatter = deviations.T @ deviations / max(1, len(rows) - len(sizes))
    level = max(np.trace(scatter) / len(scatter), 1e-12)
    scatter = (1 - shrinkage) * scatter + shrinkage * level * np.eye(len(scatter))
    values, directions = np.linalg.eigh(scatter)
    map_: NDArray[np.float32] = (directions / np.sqrt(np.maximum(values, 1e-9 * level))).astype(np.float32)
    return map_


def fit_metric(
    vectors: NDArray[np.float32],
    labels: ArrayLike,
    *,
    n_components: int = N_COMPONENTS,
    shrinkage: float = SHRINKAGE,
) -> LinearMap:
    """Learn the metric of one signal from labelled vectors, (n, n_dims), NaN rows without evidence."""
    known = np.isfinite(vectors).all(axis=1)
    base = reduce(vectors, n_components)
    rows = (vectors[known] - base.mean) @ base.projection
    whitening = whiten_within(rows, np.asarray(labels)[known], shrinkage)
    return LinearMap(base.mean, base.projection @ whitening)


def spread_evenly(vectors: NDArray[np.float32], power: float = WHITENING_POWER) -> LinearMap:
    """A metric without labels, from the collection itself: its variances raised to ``1 - 2 * power``."""
    base = reduce(vectors, WHITENING_COMPONENTS)
    rows = (vectors[np.isfinite(vectors).all(axis=1)] - base.mean) @ base.projection
    variance = rows.astype(np.float64).var(axis=0)
    scale = (variance + WHITENING_FLOOR * max(variance.max(), 1e-12)) ** -power
    return LinearMap(base.mean, (base.projection * scale).astype(np.float32))
