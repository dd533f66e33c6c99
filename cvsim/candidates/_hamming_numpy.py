"""The scan of one chunk in numpy: the reference for the machine code in `_hamming_numba`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cvsim.candidates._chunks import Words

_BLOCK_CANDIDATES = 1 << 15
"""Candidates expanded at once: few enough for a core's own cache."""
_BLOCK_HASHES = 1 << 15


def scan(
    query_words: Words,
    run_keys: NDArray[np.uint32],
    run_starts: NDArray[np.int64],
    least_keys: NDArray[np.uint32],
    words: Words,
    starts: NDArray[np.int64],
    masks: NDArray[np.uint32],
    radius: int,
    earlier: NDArray[np.uint64],
    earlier_flips: NDArray[np.uint64],
    shifts: Words,
    is_self: bool,
    word_tuple: tuple[int, ...],
    first_shifts: tuple[np.uint64, ...],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All pairs within the radius under some shift whose keys differ by one of the masks, none found earlier.

    Parameters
    ----------
    query_words : (n_queries, k) uint64
        Hashes, sorted by their value of the chunk, the key.
    run_keys, run_starts : (n_runs,) uint32, (n_runs + 1,) int64
        The queries to look at: run ``r`` is ``query_words[run_starts[r]:run_starts[r + 1]]``, all with
        one key.
    least_keys : (n_runs,) uint32
        Smaller keys are not looked up for the queries of the run: those who have them find the pair.
    words : (n_stored, k) uint64
        Hashes to find, sorted by key.
    starts : (2**width + 1,) int64
        ``words[starts[key]:starts[key + 1]]`` have this key.
    masks : (n_masks,) uint32
    radius : int
        Radius in bits, inclusive.
    earlier, earlier_flips : (c, k) uint64, (c,) uint64
        Bits and flips of the chunks that were searched before: a pair that one of them lets through
        has been found already. This makes each pair come once without sorting the finds.
    shifts : (s, k) uint64
        The distance of two hashes is the least over these, each applied to one of them by XOR. A single
        zero is the plain distance.
    is_self : bool
        The queries are the stored hashes in the same order: of one key, each pair of positions comes once,
        and none with itself.
    word_tuple, first_shifts : tuple
        As long as a hash has words; the first word of each shift (of use to the machine code only).

    Returns
    -------
    (positions in query_words, positions in words) : two (n_found,) int64 arrays
    """
    found = []
    keys, least = (np.repeat(of_run, np.diff(run_starts)) for of_run in (run_keys, least_keys))
    base = int(run_starts[0]) if len(run_starts) else 0
    for mask in masks:
        for offset in range(0, len(keys), _BLOCK_HASHES):
            block = keys[offset : offset + _BLOCK_HASHES]
            others = block ^ mask
            begins, ends = starts[others], starts[others.astype(np.int64) + 1]
            positions = np.arange(base + offset, base + offset + len(block))
            if is_self and mask == 0:
                begins = positions + 1
            counts = ends - begins
            counts[others < least[offset : offset + _BLOCK_HASHES]] = 0
            wanted = np.flatnonzero(counts)
            for part in _parts(wanted, counts):
                i, j = _verify(
                    query_words, positions[part], words, begins[part], counts[part], radius, shifts
                )
                if len(i):
                    is_new = _is_new(query_words[i] ^ words[j], earlier, earlier_flips, shifts)
                    found.append((i[is_new], j[is_new]))
    if not found:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    return np.concatenate([i for i, _ in found]), np.concatenate([j for _, j in found])


def _parts(wanted: NDArray[np.int64], counts: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Cut the queries so that each part has about as many candidates as a block holds."""
    if not len(wanted):
        return []
    total = np.cumsum(counts[wanted])
    cuts = np.searchsorted(total, np.arange(_BLOCK_CANDIDATES, int(total[-1]), _BLOCK_CANDIDATES))
    return [part for part in np.split(wanted, np.unique(cuts)) if len(part)]


def _verify(
    query_words: Words,
    positions: NDArray[np.int64],
    words: Words,
    begins: NDArray[np.int64],
    counts: NDArray[np.int64],
    radius: int,
    shifts: Words,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Compare each query with its run of candidates ``words[begin:begin + count]``."""
    ends = np.cumsum(counts)
    candidates = np.repeat(begins - (ends - counts), counts)
    candidates += np.arange(ends[-1])
    queries = np.repeat(query_words[positions, 0], counts)
    queries ^= words[:, 0][candidates]
    is_near = np.bitwise_count(queries ^ shifts[0, 0]) <= radius
    for shift in shifts[1:]:
        is_near |= np.bitwise_count(queries ^ shift[0]) <= radius
    hits = np.flatnonzero(is_near)
    i, j = positions[np.searchsorted(ends, hits, side="right")], candidates[hits]
    if query_words.shape[1] > 1 and len(i):
        within = _least_distance(query_words[i] ^ words[j], shifts) <= radius
        i, j = i[within], j[within]
    return i, j


def _least_distance(differences: Words, shifts: Words) -> NDArray[np.int64]:
    """Fewest bits that are set in each row under any of the shifts, (n,)."""
    counts = (np.bitwise_count(differences ^ shift).sum(axis=1, dtype=np.int64) for shift in shifts)
    least: NDArray[np.int64] = np.minimum.reduce(list(counts))
    return least


def _is_new(
    differences: Words, earlier: NDArray[np.uint64], earlier_flips: NDArray[np.uint64], shifts: Words
) -> NDArray[np.bool_]:
    is_new = np.ones(len(differences), bool)
    for bits, flips in zip(earlier, earlier_flips, strict=True):
        is_new &= _least_distance(differences & bits, shifts & bits) > int(flips)
    return is_new
