"""What a pair differs by in one place, against all else that it differs by."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from numpy.typing import NDArray

from cvsim.proof.residual import tiles
from cvsim.proof.standout import CELL_PX, LargestDifferences

SHAPE = 128, 192


def residual(seed: int, noise: float = 4.0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(0, noise, SHAPE).astype(np.float32)


def looked_at(left: NDArray[np.float32], side_px: int = max(SHAPE)) -> LargestDifferences:
    """Tile by tile, each with its margin."""
    found = LargestDifferences()
    for tile in tiles(*left.shape, side_px):
        rows, columns = tile.inner
        window = left[tile.top : tile.bottom, tile.left : tile.right]
        found.add(window, tile.inner, tile.left + columns.start, tile.top + rows.start)
    return found


@given(seed=st.integers(0, 2**32 - 1), noise=st.floats(0, 40))
def test_noise_does_not_stand_out(seed: int, noise: float) -> None:
    found = looked_at(residual(seed, noise))
    assert found.margin < 1
    assert not found.spots()


@given(
    seed=st.integers(0, 2**32 - 1),
    y=st.integers(3, SHAPE[0] - 6),
    x=st.integers(3, SHAPE[1] - 6),
    height=st.sampled_from([-60.0, 60.0]),
    side_px=st.sampled_from([64, 96, 192]),
)
def test_three_pixels_of_another_shade_stand_out_where_they_are(
    seed: int, y: int, x: int, height: float, side_px: int
) -> None:
    left = residual(seed)
    left[y : y + 3, x : x + 3] += height
    found = looked_at(left, side_px)
    assert found.margin >= 1
    first = found.spots()[0]
    assert first.x - CELL_PX <= x <= first.x + CELL_PX
    assert first.y - CELL_PX <= y <= first.y + CELL_PX


@pytest.mark.parametrize("n_places", [1, 2, 40])
def test_what_is_everywhere_stands_out_nowhere(n_places: int) -> None:
    left = residual(3)
    for k in range(n_places):
        left[8 + k % 5 * 20, 8 + k // 5 * 20 : 11 + k // 5 * 20] += 150
    assert (looked_at(left).margin >= 1) == (n_places <= 2)


def test_how_a_picture_is_cut_changes_nothing() -> None:
    left = residual(5)
    left[60:62, 90:93] -= 70
    whole = looked_at(left)
    assert {looked_at(left, side_px).margin for side_px in (64, 80, 128)} == {whole.margin}


def test_equal_pictures_have_nothing_that_stands_out() -> None:
    assert LargestDifferences().margin == 0
    assert looked_at(np.zeros(SHAPE, np.float32)).margin == 0
