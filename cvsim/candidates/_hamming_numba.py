"""The scan of one chunk in machine code. Imported only where numba is present and the work is worth it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic


@intrinsic
def _generate_popcount(typing_context: Any, value: Any) -> Any:
    """Number of set bits: one instruction, for which numba has no name."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.uint64(types.uint64), generate


_popcount: Any = _generate_popcount


def _compiled(function: Callable[..., Any]) -> Any:
    """Compiled when it is first called, and kept on disk for the next process if some place is writable."""
    try:
        return njit(nogil=True, cache=True)(function)
    except RuntimeError:
        return njit(nogil=True)(function)


@_compiled
def _any_near(query: Any, words: Any, first_shifts: tuple[Any, ...], limit: Any) -> bool:
    """Whether any word may be near. Its loop has no branch, so that several words are looked at at once."""
    least = np.uint64(64)
    for j in range(len(words)):
        difference = query ^ words[j]
        for s in range(len(first_shifts)):
            least = min(least, _popcount(difference ^ first_shifts[s]))
    is_near: bool = least <= limit
    return is_near


@_compiled
def scan(
    query_words: Any,
    run_keys: Any,
    run_starts: Any,
    least_keys: Any,
    words: Any,
    starts: Any,
    masks: Any,
    radius: int,
    earlier: Any,
    earlier_flips: Any,
    shifts: Any,
    is_self: bool,
    word_tuple: tuple[int, ...],
    first_shifts: tuple[Any, ...],
) -> Any:
    """See `cvsim.candidates._hamming_numpy.scan`, of which this is the same in machine code.

    `word_tuple` is a tuple as long as a hash has words: its length is known when this is compiled, so
    that the loops over words unroll.
    """
    first_words = words[:, 0].copy()
    capacity = 1024
    found_i = np.empty(capacity, np.int64)
    found_j = np.empty(capacity, np.int64)
    n_found = 0
    limit = np.uint64(radius)
    for mask in masks:
        for run in range(len(run_keys)):
            other = run_keys[run] ^ mask
            if other < least_keys[run]:
                continue
            begin = starts[other]
            end = starts[np.int64(other) + 1]
            if begin == end:
                continue
            for i in range(run_starts[run], run_starts[run + 1]):
                first_word = query_words[i, 0]
                low = begin
                if is_self and mask == 0:
                    low = i + 1
                if not _any_near(first_word, first_words[low:end], first_shifts, limit):
                    continue
                for j in range(low, end):
                    difference = first_word ^ words[j, 0]
                    is_near = False
                    for s in range(len(shifts)):
                        distance = _popcount(difference ^ shifts[s, 0])
                        if distance > limit:
                            continue
                        for w in range(1, len(word_tuple)):
                            distance += _popcount(query_words[i, w] ^ words[j, w] ^ shifts[s, w])
                        if distance <= limit:
                            is_near = True
                            break
                    if not is_near:
                        continue
                    is_new = True
                    for c in range(len(earlier_flips)):
                        for s in range(len(shifts)):
                            flips = np.uint64(0)
                            for w in range(len(word_tuple)):
                                flips += _popcount(
                                    (query_words[i, w] ^ words[j, w] ^ shifts[s, w]) & earlier[c, w]
                                )
                            if flips <= earlier_flips[c]:
                                is_new = False
                    if not is_new:
                        continue
                    if n_found == capacity:
                        capacity *= 2
                        larger_i = np.empty(capacity, np.int64)
                        larger_j = np.empty(capacity, np.int64)
                        larger_i[:n_found] = found_i
                        larger_j[:n_found] = found_j
                        found_i = larger_i
                        found_j = larger_j
                    found_i[n_found] = i
                    found_j[n_found] = j
                    n_found += 1
    return found_i[:n_found].copy(), found_j[:n_found].copy()
