"""What several parts do to arrays: probabilities, ramps, labels in order, ranges of uneven length."""

from __future__ import annotations

from tokenize import TokenError
from typing import TYPE_CHECKING, Any, overload

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.types import Indices

NOT_AN_ARRAY = (ValueError, EOFError, TokenError, SyntaxError, OverflowError, TypeError)
"""What `numpy.load` raises for bytes that it did not save: it parses the header as Python."""


@overload
def sigmoid(log_odds: float) -> float: ...
@overload
def sigmoid(log_odds: NDArray[np.float64]) -> NDArray[np.float64]: ...
def sigmoid(log_odds: float | NDArray[np.float64]) -> float | NDArray[np.float64]:
    """Turn log-odds into a probability, without overflow."""
    probability: float | NDArray[np.float64] = 1.0 / (1.0 + np.exp(-np.clip(log_odds, -700, 700)))
    return probability


def ramp(values: Any, low: float, high: float) -> NDArray[Any]:
    """0 up to `low`, 1 from `high`, straight between them; of any shape."""
    return np.asarray(np.clip((values - low) / (high - low), 0.0, 1.0))


def holds_missing(labels: NDArray[Any]) -> bool:
    """Whether any label is None or NaN, of an array of any type and shape."""
    return any(label is None or label != label for label in labels.ravel().tolist())


def labelled_in_order(labels: NDArray[np.integer]) -> Indices:
    """Number the same groups from 0, in the order of their first members, (n,) to (n,) int64."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    numbered: Indices = rank[inverse]
    return numbered


def smallest(values: NDArray[Any], n: int) -> Indices:
    """(rows, n) positions of the `n` smallest values of each row, the smallest first."""
    positions = np.argpartition(values, n - 1, axis=1)[:, :n]
    order = np.argsort(np.take_along_axis(values, positions, axis=1), axis=1, kind="stable")
    return np.take_along_axis(positions, order, axis=1)


def ragged_range(counts: Indices) -> tuple[Indices, Indices]:
    """Count up to each of `counts`: for (2, 3), rows (0, 0, 1, 1, 1) and offsets (0, 1, 0, 1, 2)."""
    rows = np.repeat(np.arange(len(counts)), counts)
    return rows, np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
