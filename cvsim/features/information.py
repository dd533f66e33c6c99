"""Whether a picture holds enough for its descriptor to mean anything.

Flat, two-tone and nearly black pictures do not: what is computed of them is made of noise, and collides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_EDGE_SHARE = 0.03
"""Share of a small square's pixels with a visible step to a neighbour."""

VISIBLE_STEP = 6
"""Grey levels between neighbours that count as a visible step."""

MIN_SECOND_DIRECTION = 0.02
"""Smaller to larger eigenvalue of the gradients' second moments: one straight edge lies over any other."""


def is_informative(square: NDArray[np.uint8]) -> bool:
    """Whether a grey square, 32 to 64 px a side, holds enough visible steps."""
    steps = square.astype(np.int16)
    across = np.abs(np.diff(steps, axis=1)) >= VISIBLE_STEP
    down = np.abs(np.diff(steps, axis=0)) >= VISIBLE_STEP
    if across.mean() + down.mean() < 2 * MIN_EDGE_SHARE:
        return False
    gx, gy = np.diff(steps[:-1], axis=1).astype(np.float64), np.diff(steps[:, :-1], axis=0).astype(np.float64)
    return has_two_directions(float((gx * gx).sum()), float((gx * gy).sum()), float((gy * gy).sum()))


def has_two_directions(xx: float, xy: float, yy: float) -> bool:
    """Whether gradients of these second moments point more than one way."""
    middle, spread = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    return bool(middle - spread >= MIN_SECOND_DIRECTION * (middle + spread))


PARAMS: dict[str, Any] = {
    "min_edge_share": MIN_EDGE_SHARE,
    "visible_step": VISIBLE_STEP,
    "second_direction": MIN_SECOND_DIRECTION,
}
"""For the parameters of the features that ask."""
