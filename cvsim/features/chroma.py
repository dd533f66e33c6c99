"""Whether two aligned pictures have the same colours in the same places.

A copy may be brightened, bleached or toned as a whole, which keeps its hues or leaves one single hue. A
second colour of one product keeps most of the picture and changes the hue of a part: the grey pixels do not
show it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.types import RGB

SIDE_PX = 24
MIN_CHROMA = 10.0
"""Distance from grey, in units of Lab, from which a hue means something."""
MIN_TINT = 4.0
MIN_CELLS = 12
TONED_SHARE, TONED_CONCENTRATION = 0.6, 0.985
"""A picture is toned as a whole where this share of it is tinted, all in one hue."""
OTHER_HUE_DEG = 60.0
"""Difference at which nothing is left of the similarity."""
WORST_SHARE = 0.25
"""Of the coloured cells, those that differ most, whose mean difference counts: a part may be all that differs."""


def chroma_square(rgb: RGB) -> NDArray[np.int8]:
    """The a and b channels of CIE Lab of a picture as a small square, (24, 24, 2) int8."""
    square = cv2.resize(rgb, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(square.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return np.clip(np.rint(lab[..., 1:]), -127, 127).astype(np.int8)


def hue_similarity(a: NDArray[np.int8], b: NDArray[np.int8], matrix: NDArray[Any]) -> float:
    """How far the hues agree where both pictures have one, in [0, 1]; NaN for no evidence.

    Parameters
    ----------
    a, b : (24, 24, 2) int8
        From `chroma_square`.
    matrix : (2, 3)
        Maps the unit square of `a` to that of `b`.
    """
    if is_toned(a) or is_toned(b):
        return float("nan")
    centres = (np.arange(SIDE_PX) + 0.5) / SIDE_PX
    x, y = np.meshgrid(centres, centres)
    u = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]
    v = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]
    inside = (u > 0) & (u < 1) & (v > 0) & (v < 1)
    column = np.clip(u * SIDE_PX, 0, SIDE_PX - 1).astype(np.int64)
    row = np.clip(v * SIDE_PX, 0, SIDE_PX - 1).astype(np.int64)
    p = a.astype(np.float32) @ _TO_COMPLEX
    q = b.astype(np.float32)[row, column] @ _TO_COMPLEX
    colored = inside & (np.abs(p) >= MIN_CHROMA) & (np.abs(q) >= MIN_CHROMA)
    n = int(colored.sum())
    if n < MIN_CELLS:
        return float("nan")
    difference_deg = np.sort(np.abs(np.degrees(np.angle(p[colored] * np.conj(q[colored])))))
    worst = difference_deg[-max(1, round(n * WORST_SHARE)) :]
    # The very worst are cells on an edge, where two colours mix differently.
    return float(np.clip(1 - np.median(worst) / OTHER_HUE_DEG, 0, 1))


_TO_COMPLEX = np.array([1, 1j], np.complex64)


def is_toned(chroma: NDArray[np.int8]) -> bool:
    """Whether nearly all of a picture is tinted in one hue, like a sepia print."""
    z = chroma.astype(np.float32).reshape(-1, 2) @ _TO_COMPLEX
    tinted = np.abs(z) >= MIN_TINT
    if tinted.mean() < TONED_SHARE:
        return False
    unit = z[tinted] / np.abs(z[tinted])
    return bool(np.abs(unit.mean()) >= TONED_CONCENTRATION)
