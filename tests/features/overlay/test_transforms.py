"""One transform that matched keypoints agree on, few among many or most of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cvsim.features.base import SCALE_FACTOR
from cvsim.features.local_descriptor import KEYPOINT
from cvsim.features.overlay.transforms import fit_by_pairs, fit_transform

SHIFT = (40.0, 160.0)


def _matches(seed: int, n_right: int, n_wrong: int, scale: float, degrees: float) -> tuple[Any, Any]:
    """Matches of which some follow one similarity, as exactly as keypoints lie, and the others nothing."""
    rng = np.random.default_rng(seed)
    n = n_right + n_wrong
    a, b = np.zeros(n, KEYPOINT), np.zeros(n, KEYPOINT)
    a["x"], a["y"] = rng.uniform(20, 380, (2, n))
    b["x"], b["y"] = rng.uniform(20, 380, (2, n))
    a["angle"], b["angle"] = rng.integers(0, 256, (2, n))
    a["level"], b["level"] = rng.integers(0, 6, (2, n))
    turn = scale * np.exp(1j * np.radians(degrees))
    at = (
        (a["x"] + 1j * a["y"])[:n_right] * turn + complex(*SHIFT) + rng.normal(0, 0.6, (n_right, 2)) @ [1, 1j]
    )
    b["x"][:n_right], b["y"][:n_right] = at.real, at.imag
    rough = rng.normal(0, 10, n_right)  # an angle and a level tell a keypoint's own only roughly
    b["angle"][:n_right] = (a["angle"][:n_right] + np.round((degrees + rough) * 256 / 360)) % 256
    level = a["level"][:n_right] + np.log(scale) / np.log(SCALE_FACTOR) + rng.normal(0, 0.6, n_right)
    b["level"][:n_right] = np.clip(np.round(level), 0, 7)
    return a, b


def _corners(matrix: Any) -> Any:
    return np.array([[0, 0, 1], [400, 0, 1], [0, 400, 1], [400, 400, 1]], float) @ np.asarray(matrix).T


def _true(scale: float, degrees: float) -> Any:
    c, s = scale * np.cos(np.radians(degrees)), scale * np.sin(np.radians(degrees))
    return np.array([[c, -s, SHIFT[0]], [s, c, SHIFT[1]]])


@pytest.mark.parametrize("seed", range(6))
def test_most_matches_are_followed(seed: int) -> None:
    found = fit_transform(*_matches(seed, 40, 20, 0.7, 25))
    assert found is not None
    assert np.abs(_corners(found.matrix) - _corners(_true(0.7, 25))).max() < 8


@pytest.mark.parametrize(("scale", "degrees"), [(0.55, 0.0), (1.8, 0.0), (0.8, 70.0)])
def test_two_exact_matches_define_what_the_many_outvote(scale: float, degrees: float) -> None:
    n_by_pairs = n_by_votes = 0
    for seed in range(24):
        matches = _matches(seed, 10, 40, scale, degrees)
        for found, by_pairs in ((fit_by_pairs(*matches), True), (fit_transform(*matches), False)):
            if found is None:
                continue
            error = np.abs(_corners(found.matrix) - _corners(_true(scale, degrees))).max()
            n_by_pairs += by_pairs and error < 12 * max(scale, 1)
            n_by_votes += not by_pairs and error < 12 * max(scale, 1)
    assert n_by_pairs >= 22
    assert n_by_votes < n_by_pairs


def test_matches_of_nothing_seldom_agree() -> None:
    found = [fit_by_pairs(*_matches(seed, 0, 30, 1.0, 0.0)) for seed in range(40)]
    assert sum(one is not None for one in found) <= 4


def test_too_few_matches_define_nothing() -> None:
    for n in range(5):
        assert fit_by_pairs(*_matches(0, n, 0, 1.0, 0.0)) is None
        assert fit_transform(*_matches(0, n, 0, 1.0, 0.0)) is None
    heap = np.zeros(9, KEYPOINT)  # all on one spot, which turns nothing
    assert fit_by_pairs(heap, heap) is None


def test_many_matches_that_agree_define_it_too() -> None:
    found = fit_by_pairs(*_matches(3, 300, 0, 0.7, 25))
    assert found is not None
    assert np.abs(_corners(found.matrix) - _corners(_true(0.7, 25))).max() < 4
