"""Whether a picture holds enough for its descriptor to mean anything.

Flat, two-tone and nearly black pictures do not: what is computed of them is made of noise, and collides.
"""

from __future__ import annotations

import math
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
    gray = square.astype(np.float32)
    across, down = gray[:, 1:] - gray[:, :-1], gray[1:] - gray[:-1]
    n_steps = sum(np.count_nonzero(np.abs(steps) >= VISIBLE_STEP) for steps in (across, down))
    if n_steps < 2 * MIN_EDGE_SHARE * across.size:
        return False
    gx, gy = across[:-1].ravel(), down[:, :-1].ravel()
    return has_two_directions(float(gx @ gx), float(gx @ gy), float(gy @ gy))


def has_two_directions(xx: float, xy: float, yy: float) -> bool:
    """Whether gradients of these second moments point more than one way."""
    middle, spread = (xx + yy) / 2, math.hypot((xx - yy) / 2, xy)
    return bool(middle - spread >= MIN_SECOND_DIRECTION * (middle + spread))


PARAMS: dict[str, Any] = {
    "min_edge_share": MIN_EDGE_SHARE,
    "visible_step": VISIBLE_STEP,
    "second_direction": MIN_SECOND_DIRECTION,
}
"""For the parameters of the features that ask."""
