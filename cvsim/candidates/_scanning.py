"""The search of buckets: the pairs that one chunk after the other finds, in tasks that threads share."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from cvsim.candidates import _hamming_numpy
from cvsim.candidates._chunks import (
    Chunk,
    ChunkPlan,
    Costs,
    Words,
    bit_mask,
    chunk_keys,
    chunk_masks,
    mirror_chunk,
    plan_chunks,
)
from cvsim.errors import MissingExtraError
from cvsim.settings import available_cores

if TYPE_CHECKING:
    from cvsim.types import Indices

Backend = Literal["auto", "numpy", "numba"]
"""``auto``: numba where it is installed and the work outweighs its start-up. The result is the same."""

ScanFunction = Callable[..., tuple[NDArray[np.int64], NDArray[np.int64]]]

# Nanoseconds timed by hand on a machine with two cores; no script repeats that. They choose between ways to
# the same pairs, and `benchmarks/scale_parts.py` measures how long the chosen one takes.
_NUMPY_COSTS = Costs(candidate_ns=7.0, probe_ns=10.0, brute_ns=7.0)
_NUMBA_COSTS = Costs(candidate_ns=0.3, probe_ns=12.0, brute_ns=0.3)
_NUMBA_START_S = 1.0
"""Importing numba and reading its compiled kernel: numpy does smaller jobs in that time."""
_MAX_RUN = 4096
"""How many hashes of one bucket a task looks at, so that threads share even a single bucket."""
_TASK_HASHES = 1 << 15
"""How many hashes a task looks at: few enough to stay in a core's cache under all masks."""

_log = logging.getLogger(__name__)


def search_codes(
    queries: Words,
    stored: Words,
    radius: int,
    is_self: bool,
    shifts: Words,
    backend: Backend,
    n_threads: int | None,
    mirror: tuple[int, ...] | None = None,
) -> Indices:
    """Codes ``i * len(stored) + j`` of all pairs within the radius, ascending; hashes should be distinct.

    With the `mirror` of queries and stored hashes, each pair is found from at least one of its sides.
    """
    n_pairs = len(queries) * (len(queries) - 1) // 2 if is_self else len(queries) * len(stored)
    if not n_pairs:
        return np.empty(0, np.int64)
    scan, plan = choose_scan(
        backend, lambda costs: plan_chunks(queries, stored, radius, n_pairs, costs, shifts, mirror)
    )
    _log.debug("Hamming join of %d pairs by %s: %s", n_pairs, scan.__module__, plan)
    found = [np.empty(0, np.int64)]
    with ThreadPoolExecutor(n_threads or available_cores()) as threads:
        for position, chunk in enumerate(plan.chunks):
            chunks = plan.chunks[: position + 1]
            partner = None if mirror is None else mirror_chunk(chunk, mirror, chunks)
            if partner is not None and partner < position:
                continue  # what meets here has met there, from the other side
            is_own = partner is not None
            tasks = _tasks(queries, stored, radius, is_self, is_own, chunks, shifts, scan)
            found.extend(threads.map(lambda task: task(), tasks))
    codes = np.concatenate(found)
    codes.sort()
    return codes


def _tasks(
    queries: Words,
    stored: Words,
    radius: int,
    is_self: bool,
    is_mirrored: bool,
    chunks: tuple[Chunk, ...],
    shifts: Words,
    scan: ScanFunction,
) -> Iterator[Callable[[], Indices]]:
    """Scans of the last of `chunks`, in parts that are independent of each other.

    In a mirrored chunk each pair meets from both sides, and the one of the smaller stored key is enough.
    """
    *earlier_chunks, chunk = chunks
    n_words = stored.shape[1]
    width = len(chunk.bits)
    keys = chunk_keys(stored, chunk.bits)
    order = np.argsort(keys, kind="stable")
    words = stored[order]
    starts = np.concatenate([[0], np.cumsum(np.bincount(keys, minlength=2**width))])
    if is_self:
        query_keys, query_order, query_words = keys[order], order, words
    else:
        query_keys = chunk_keys(queries, chunk.bits)
        query_order = np.argsort(query_keys, kind="stable")
        query_keys, query_words = query_keys[query_order], queries[query_order]
    run_starts = _run_starts(query_keys)
    run_keys = query_keys[run_starts[:-1]]
    # All queries of one key belong to stored hashes of one key, for the chunk holds the bits of both.
    least_keys = keys[query_order[run_starts[:-1]]] if is_self or is_mirrored else np.zeros_like(run_keys)
    masks = chunk_masks(chunk, shifts)
    earlier = np.array([bit_mask(c.bits, n_words) for c in earlier_chunks], np.uint64).reshape(-1, n_words)
    earlier_flips = np.array([c.flips for c in earlier_chunks], np.uint64)
    word_tuple, first_shifts = (0,) * n_words, tuple(shifts[:, 0])
    n_stored = np.int64(len(stored))

    def task(first: int, last: int) -> Indices:
        i, j = scan(
            query_words, run_keys[first:last], run_starts[first : last + 1], least_keys[first:last],
            words, starts, masks, radius, earlier, earlier_flips, shifts, is_self, word_tuple, first_shifts,
        )  # fmt: skip
        i, j = query_order[i], order[j]
        if is_self:
            i, j = np.minimum(i, j), np.maximum(i, j)
        return i * n_stored + j

    cuts = np.append(np.arange(0, len(query_words), _TASK_HASHES), len(query_words))
    bounds = np.unique(np.searchsorted(run_starts, cuts))
    for first, last in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        yield partial(task, first, last)


def _run_starts(keys: NDArray[np.uint32]) -> Indices:
    """Tell where runs of equal keys start, long runs cut, and where the last ends: (n_runs + 1,)."""
    changes = np.flatnonzero(keys[1:] != keys[:-1]) + 1
    return np.unique(np.concatenate([[0], changes, np.arange(0, len(keys), _MAX_RUN), [len(keys)]]))


def choose_scan(backend: Backend, planned: Callable[[Costs], ChunkPlan]) -> tuple[ScanFunction, ChunkPlan]:
    """The scan to use, and the plan for what it pays.

    With ``auto``, machine code is used only where its start-up pays off.
    """
    scan, plan = _hamming_numpy.scan, planned(_NUMPY_COSTS)
    if backend == "numpy" or (backend == "auto" and plan.expected_s <= _NUMBA_START_S):
        return scan, plan
    try:
        machine_code = importlib.import_module("cvsim.candidates._hamming_numba")
    except ImportError as exc:
        if backend == "numba":
            raise MissingExtraError("Hamming searches in machine code", "fast") from exc
        return scan, plan
    return machine_code.scan, planned(_NUMBA_COSTS)
