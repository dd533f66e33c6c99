"""What bends a picture, and what does not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from cvsim.features.overlay.perspective import bend_px

CORNERS = np.array([[0, 0], [192, 0], [192, 96], [0, 96]], np.float32)


@pytest.mark.parametrize("seed", range(5))
def test_an_affine_map_does_not_bend(seed: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = np.vstack([rng.normal(size=(2, 3)) * [1, 1, 50], [0, 0, 1]])
    assert bend_px(matrix, 192, 96) == pytest.approx(0, abs=1e-9)


def test_a_picture_seen_from_one_side_bends_with_how_far_its_corners_are_pulled() -> None:
    bends = []
    for pulled in (0.2, 1, 5, 25):
        seen = CORNERS + np.array([[pulled, pulled], [0, 0], [0, 0], [0, 0]], np.float32)
        bends.append(bend_px(cv2.getPerspectiveTransform(CORNERS, seen), 192, 96))
    assert bends == sorted(bends)
    assert bends[0] < 0.5
    assert bends[-1] > 20
