"""A seam is a break all along an outline, not a line of the picture that the outline lies on."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from generate import scene

from cvsim.features.overlay.alignment import seam
from cvsim.scoring.relation import MIN_SEAM

OUTLINE = np.array([[30, 24], [150, 24], [150, 100], [30, 100]], np.float64)


def raster(seed: int) -> np.ndarray:
    gray = cv2.cvtColor(scene(seed, 192, 128), cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.GaussianBlur(gray, (0, 0), 1.0))


@pytest.mark.parametrize("seed", range(5))
def test_a_paste_breaks_all_along_and_a_crop_does_not(seed):
    whole, other = raster(seed), raster(seed + 50)
    assert seam(whole, OUTLINE) < MIN_SEAM
    pasted = whole.copy()
    pasted[24:100, 30:150] = cv2.resize(other, (120, 76), interpolation=cv2.INTER_AREA)
    assert seam(pasted, OUTLINE) >= MIN_SEAM


@pytest.mark.parametrize("side", range(4))
def test_a_crop_of_a_drawing_may_end_on_one_of_its_lines(side):
    drawing = np.full((128, 192), 250, np.uint8)
    for k in range(12):
        cv2.putText(drawing, "cvsim", (10 + k % 3 * 60, 18 + k // 3 * 28), 0, 0.4, 60, 1, cv2.LINE_AA)
    outward = np.array([(0, -3), (3, 0), (0, 3), (-3, 0)])[side]
    start, end = ((corner + outward).astype(int).tolist() for corner in OUTLINE[[side, (side + 1) % 4]])
    cv2.line(drawing, start, end, 0, 3)
    assert seam(drawing, OUTLINE) < MIN_SEAM


def test_an_outline_at_the_border_says_nothing():
    whole = np.array([[0, 0], [192, 0], [192, 128], [0, 128]], np.float64)
    assert seam(raster(1), whole) == 0
