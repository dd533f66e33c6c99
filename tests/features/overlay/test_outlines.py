"""What outlines have in common, beside another way to find it, and where sides nearly lie on one another."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from generate import scene
from hypothesis import given, strategies as st
from scipy.spatial import ConvexHull

from cvsim.features.evidence import reversed_evidence
from cvsim.features.local import Local
from cvsim.features.overlay.alignment import coverage
from cvsim.features.overlay.outlines import area, clipped

BOX = (10.0, 5.0, 180.0, 90.0)
CORNERS = np.array([[0, 0], [192, 0], [192, 96], [0, 96]], np.float64)
numbers = st.floats(-1, 1, allow_subnormal=False)
maps = st.tuples(*[numbers] * 6).map(lambda m: np.array(m).reshape(2, 3) * [[2, 2, 300], [2, 2, 200]])


def by_samples(outline: np.ndarray) -> float:
    """Area of what lies in the box, by counting the middles of a fine grid."""
    hull = cv2.convexHull(outline.astype(np.float32))
    x, y = np.meshgrid(np.arange(10, 180, 0.5) + 0.25, np.arange(5, 90, 0.5) + 0.25)
    inside = [
        cv2.pointPolygonTest(hull, (float(u), float(v)), False) >= 0
        for u, v in zip(x.ravel(), y.ravel(), strict=True)
    ]
    return float(np.mean(inside)) * 170 * 85


@given(maps)
def test_what_lies_in_the_box_is_convex_and_no_larger(matrix: np.ndarray) -> None:
    outline = CORNERS @ matrix[:, :2].T + matrix[:, 2]
    common = clipped(outline, BOX)
    found = area(common)
    assert found <= min(area(outline.tolist()), 170 * 85) * (1 + 1e-9) + 1e-6
    for x, y in common:
        assert 10 - 1e-6 <= x <= 180 + 1e-6
        assert 5 - 1e-6 <= y <= 90 + 1e-6
    if found > 1:
        assert found == pytest.approx(ConvexHull(common, qhull_options="QJ").volume, rel=1e-3)


@pytest.mark.parametrize("seed", range(12))
def test_as_much_as_by_counting(seed: int) -> None:
    rng = np.random.default_rng(seed)
    outline = CORNERS @ rng.normal(0, 0.7, (2, 2)).T + rng.uniform((0, 0), (190, 95))
    assert area(clipped(outline, BOX)) == pytest.approx(by_samples(outline), abs=60)


@given(st.tuples(*[st.sampled_from((0.0, 1e-7, 1e-6, 1e-5, 1e-4, -1e-4, -1e-6, 1e-3))] * 6))
def test_a_picture_covers_itself_however_little_it_is_moved(moved: tuple[float, ...]) -> None:
    matrix = np.eye(2, 3) + np.array(moved).reshape(2, 3)
    for share in coverage((0, 0, 192, 96), (0, 0, 192, 96), matrix):
        assert share > 0.995


def test_a_copy_shows_the_whole_of_its_original() -> None:
    """For one in seventy that lay where they were to a thousandth of a pixel it was half, or nothing."""
    local = Local()
    for seed in range(6):
        rgb = scene(seed, 512, 256)
        a, b = local.extract(rgb), local.extract(cv2.GaussianBlur(rgb, (0, 0), 1.0))
        assert a is not None
        assert b is not None
        row = local.evidence(a, b)
        for side in (row, reversed_evidence(row)):
            assert side["coverage_a"] > 0.98, seed
