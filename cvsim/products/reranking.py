"""Distances by shared neighbours: k-reciprocal re-ranking.

Two photos of one product that look different still have the same neighbours: the product's other photos. A
picture's k-reciprocal neighbours are those near ones that have it among their own near ones; the distance of
two pictures is how little these sets overlap (Jaccard), mixed with the distance of before. After Z. Zhong,
L. Zheng, D. Cao, S. Li, "Re-ranking Person Re-identification with k-reciprocal Encoding", CVPR 2017.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array, eye_array

from cvsim.arrays import ragged_range, smallest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from cvsim.types import Indices

FEWEST_NEAR, MOST_NEAR = 6, 20
"""Neighbours among which a reciprocal one is looked for. The paper takes 20, for some 17 photos each. On
halves of the cartons (56 photos each; seeds 300 to 305, trained metric, best cuts of average link) 20 give an
index of 0.909 where 6 give 0.826 and the plain distances 0.845; on the catalogue (4 each) 0.46, 0.646 and
0.597."""
NEAR_A_PHOTO = 1.5
"""Neighbours for each photo that a product has; set by hand."""
MIXED_SHARE = 0.3
"""Of these neighbours, those whose sets are averaged with a picture's own: 6 of 20, as in the paper."""
OWN_SHARE = 0.3
"""What the distance of before counts in the mixture, as in the paper; 0.6 was tried, and is no better."""
EXPANDED_OVERLAP = 2 / 3
"""A neighbour's own set is added if so much of it is known already."""
_CELLS_AT_ONCE = 1 << 22
_ROWS_AT_ONCE = 512


def near_enough(photos_per_product: float) -> int:
    """How many neighbours to look at, where products have so many photos."""
    return int(np.clip(round(NEAR_A_PHOTO * photos_per_product), FEWEST_NEAR, MOST_NEAR))


def reciprocal_distances(
    vectors: NDArray[np.float32], condensed: NDArray[np.float64], n_near: int
) -> NDArray[np.float64]:
    """Re-ranked distances of all pairs.

    Parameters
    ----------
    vectors : (n, n_dims) float32
    condensed : (n * (n - 1) / 2,) float64
        Their Euclidean distances in scipy's condensed order.
    n_near : int
        Neighbours to look at; see `near_enough`.

    Returns
    -------
    (n * (n - 1) / 2,) float64
        In [0, 1] and in the same order: a share of the distance, by the largest one, and of what the sets of
        neighbours do not have in common.
    """
    n = len(vectors)
    largest = max(float(condensed.max(initial=0.0)), 1e-12)
    found = OWN_SHARE / largest * condensed + (1 - OWN_SHARE)
    sets = _neighbour_sets(vectors, largest, n_near)
    for i, shared in _shared(sets):
        # The rows of `sets` sum to one, so that their union is what is not shared of two.
        first = n * i - i * (i + 1) // 2
        found[first : first + n - 1 - i] -= (1 - OWN_SHARE) * shared / (2 - shared)
    return np.asarray(np.maximum(found, 0.0))


def _neighbour_sets(vectors: NDArray[np.float32], largest: float, n_near: int) -> csr_array:
    """(n, n) how far each picture (column) belongs to the neighbours of another (row); rows sum to one."""
    n = len(vectors)
    n_mixed = min(n, max(1, round(MIXED_SHARE * n_near)))
    n_near = min(n_near + 1, n)  # each is the nearest of its own
    near = _nearest(vectors, n_near)
    mutual = _reciprocal(near)
    half = _reciprocal(near[:, : (n_near + 1) // 2])
    overlap = csr_array(mutual @ half.T).multiply(mutual).tocoo()
    well_known = overlap.data >= EXPANDED_OVERLAP * half.sum(axis=1)[overlap.col]
    added = _sparse(overlap.row[well_known], overlap.col[well_known], n)
    members = csr_array(mutual + added @ half).tocoo()
    apart = np.linalg.norm(vectors[members.row] - vectors[members.col], axis=1) / largest
    weighted = _summing_to_one(_sparse(members.row, members.col, n, np.exp(-apart)))
    mixing = _sparse(np.repeat(np.arange(n), n_mixed), near[:, :n_mixed].ravel(), n)
    return _summing_to_one(csr_array(mixing @ weighted))


def _nearest(vectors: NDArray[np.float32], n_near: int) -> Indices:
    """(n, n_near) the nearest pictures of each, itself among them, by rising distance."""
    squares = np.einsum("nd,nd->n", vectors, vectors)
    found = []
    for first in range(0, len(vectors), _ROWS_AT_ONCE):
        rows = vectors[first : first + _ROWS_AT_ONCE]
        found.append(smallest(squares - 2 * (rows @ vectors.T), n_near))
    return np.concatenate(found)


def _reciprocal(near: Indices) -> csr_array:
    """(n, n) 1 where each is among the nearest of the other; each is its own."""
    n, n_near = near.shape
    forward = _sparse(np.repeat(np.arange(n), n_near), near.ravel(), n)
    # Of several equal pictures the nearest may be any other than itself.
    return csr_array((csr_array(forward.multiply(forward.T)) + eye_array(n) > 0).astype(np.float64))


def _sparse(row: Indices, column: Indices, n: int, values: NDArray[np.float64] | None = None) -> csr_array:
    values = np.ones(len(row)) if values is None else values
    return csr_array((values, (row, column)), shape=(n, n))


def _summing_to_one(weights: csr_array) -> csr_array:
    return csr_array(weights.multiply(1 / weights.sum(axis=1)[:, None]))


def _shared(sets: csr_array) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Each row, and of all after it the sums of the smaller value in each column."""
    n = sets.shape[0]
    columns = sets.tocsc()
    counts = np.diff(columns.indptr).astype(np.int64)
    n_cells = n + np.add.reduceat(counts[sets.indices], sets.indptr[:-1])
    part = np.cumsum(n_cells) // _CELLS_AT_ONCE
    for rows in np.split(np.arange(n), np.flatnonzero(np.diff(part)) + 1):
        start, end = sets.indptr[rows[0]], sets.indptr[rows[-1] + 1]
        column = sets.indices[start:end]
        k, offset = ragged_range(counts[column])
        at = columns.indptr[column[k]] + offset
        row = np.repeat(np.arange(len(rows)), np.diff(sets.indptr[rows[0] : rows[-1] + 2]))[k]
        smaller = np.minimum(sets.data[start:end][k], columns.data[at])
        cell = row * np.int64(n) + columns.indices[at]
        sums = np.bincount(cell, smaller, len(rows) * n).astype(np.float64).reshape(len(rows), n)
        yield from ((i, values[i + 1 :]) for i, values in zip(rows.tolist(), sums, strict=True))
