"""Near vectors: exact, by blocks of a matrix product."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cvsim.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.types import Indices

MAX_VECTORS = 200_000
"""Beyond that, comparing all with all takes hours."""
_BLOCK_PICTURES = 1024


def pairs_with_product(vectors: NDArray[np.float32], least: float) -> tuple[Indices, Indices]:
    """All pairs of rows whose inner product is at least `least`.

    Parameters
    ----------
    vectors : (n, n_dims) float32
        Finite.
    least : float
        Inclusive.

    Returns
    -------
    a, b : (n_pairs,) int64 arrays
        Positions, ``a < b``, in lexicographic order.

    Raises
    ------
    UsageError
        There are more than `MAX_VECTORS`.
    """
    if len(vectors) > MAX_VECTORS:
        raise UsageError(
            f"{len(vectors):,} pictures are too many to compare all vectors of; {MAX_VECTORS:,} fit"
        )
    vectors = np.ascontiguousarray(vectors, np.float32)
    found_a, found_b = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for start in range(0, len(vectors), _BLOCK_PICTURES):
        i, j = np.nonzero(vectors[start : start + _BLOCK_PICTURES] @ vectors[start:].T >= least)
        above = j > i
        found_a.append(i[above] + start)
        found_b.append(j[above] + start)
    return np.concatenate(found_a), np.concatenate(found_b)
