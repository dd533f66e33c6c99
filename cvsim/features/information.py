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

ELONGATED = 4.0
"""Longer to shorter side from which a picture's gradients are also asked as they lie in the picture itself:
squeezed to a square, a strip has edges across it and hardly any other. Chosen by hand, far from usual
pictures: of 40 strips of photographs, 10 to 30 times as long as wide, the ratio above is 0.001 to 0.11 in the
square, and 0.06 to 0.7 in the picture. Tried on strips of two other sizes from other draws of photographs
(``benchmarks/other_alterations.py``), and on 40 different strips of each of ten drawn sorts: none more of
these are linked."""


def is_informative(square: NDArray[np.uint8], shape: tuple[int, ...] = (1, 1)) -> bool:
    """Whether a grey square, 32 to 64 px a side, holds enough visible steps, in two directions.

    Parameters
    ----------
    square : (s, s) uint8
    shape : (int, int)
        Height and width of what was squeezed to it.
    """
    gray = square.astype(np.float32)
    across, down = gray[:, 1:] - gray[:, :-1], gray[1:] - gray[:-1]
    n_steps = sum(np.count_nonzero(np.abs(steps) >= VISIBLE_STEP) for steps in (across, down))
    if n_steps < 2 * MIN_EDGE_SHARE * across.size:
        return False
    gx, gy = across[:-1].ravel(), down[:, :-1].ravel()
    xx, xy, yy = float(gx @ gx), float(gx @ gy), float(gy @ gy)
    if has_two_directions(xx, xy, yy):
        return True
    flattened = shape[0] / shape[1]
    is_strip = max(flattened, 1 / flattened) >= ELONGATED
    return is_strip and has_two_directions(xx * flattened**2, xy * flattened, yy)


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

PARAMS_OF_STRIPS: dict[str, Any] = {**PARAMS, "elongated": ELONGATED}
"""For those that also say what was squeezed."""
