"""All pairs, compared one by one: plain and obviously right, for small collections and as the reference."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_BLOCK_PAIRS = 1 << 20


def hamming_pairs_within(
    hashes: NDArray[np.uint64], radius_bits: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All pairs of hashes that differ in at most `radius_bits` bits.

    Parameters
    ----------
    hashes : (n,) or (n, k) uint64 array
        One hash of 64 k bits a row.
    radius_bits : int
        Inclusive.

    Returns
    -------
    a, b : (n_pairs,) int64 arrays
        Positions, ``a < b``, in lexicographic order.
    """
    a, b = hamming_join_within(hashes, hashes, radius_bits)
    return a[a < b], b[a < b]


def hamming_join_within(
    queries: NDArray[np.uint64], stored: NDArray[np.uint64], radius_bits: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All pairs of a query and a stored hash that differ in at most `radius_bits` bits.

    Parameters
    ----------
    queries : (n,) or (n, k) uint64 array
    stored : (m,) or (m, k) uint64 array
    radius_bits : int
        Inclusive.

    Returns
    -------
    i, j : (n_pairs,) int64 arrays
        Positions in `queries` and in `stored`, in lexicographic order.
    """
    if not (len(queries) and len(stored)):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    queries = queries.reshape(len(queries), -1)
    stored = stored.reshape(len(stored), -1)
    n_rows = max(1, _BLOCK_PAIRS // len(stored))
    found_i, found_j = [], []
    for start in range(0, len(queries), n_rows):
        block = queries[start : start + n_rows]
        distances = np.zeros((len(block), len(stored)), np.uint16)
        for word in range(stored.shape[1]):
            distances += np.bitwise_count(block[:, None, word] ^ stored[None, :, word])
        i, j = np.nonzero(distances <= radius_bits)
        found_i.append(i + start)
        found_j.append(j)
    return np.concatenate(found_i), np.concatenate(found_j)
