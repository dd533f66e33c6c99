"""Edges that run the same way are alike, whichever side of them is the brighter one."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from generate import scene
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray

from cvsim.features.overlay.correlation import edge_likeness

TILE_PX = 12


def _gray(seed: int) -> NDArray[np.uint8]:
    return cv2.GaussianBlur(cv2.cvtColor(scene(seed, 180, 132), cv2.COLOR_RGB2GRAY), (0, 0), 0.8)


def _centres(shape: tuple[int, ...]) -> NDArray[np.float32]:
    rows, columns = np.mgrid[0 : shape[0] // TILE_PX, 0 : shape[1] // TILE_PX]
    return (np.stack([columns.ravel(), rows.ravel()], axis=1).astype(np.float32) + 0.5) * TILE_PX


def _plain(a: NDArray[np.uint8], b: NDArray[np.uint8], place: NDArray[np.float32]) -> float:
    """The reference: orientation tensors, pixel by pixel."""
    x0, y0 = (place - TILE_PX / 2).astype(int)
    window = slice(y0, y0 + TILE_PX), slice(x0, x0 + TILE_PX)
    vectors = []
    for side in (a, b):
        slope = np.array([cv2.Sobel(side, cv2.CV_64F, *d, scale=1 / 8)[window] for d in ((1, 0), (0, 1))])
        z = slope[0] + 1j * slope[1]
        vectors.append(np.abs(z) * np.exp(2j * np.angle(z)))
    energies = [(np.abs(v) ** 2).mean() + 2.0 for v in vectors]
    return float((vectors[0] * vectors[1].conj()).real.mean() / np.sqrt(energies[0] * energies[1]))


@pytest.mark.parametrize("seed", [0, 3])
def test_it_is_the_correlation_of_double_angle_slopes(seed: int) -> None:
    a, b = _gray(seed), np.roll(_gray(seed), 2, axis=1)
    places = _centres(a.shape)
    expected = [_plain(a, b, place) for place in places]
    assert edge_likeness(a, b, places, TILE_PX) == pytest.approx(expected, abs=1e-3)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 50), st.integers(0, 50))
def test_it_lies_between_minus_one_and_one_and_either_way_is_the_same(seed: int, other: int) -> None:
    a, b = _gray(seed), _gray(other)
    places = _centres(a.shape)
    there, back = (edge_likeness(x, y, places, TILE_PX) for x, y in ((a, b), (b, a)))
    assert np.abs(there).max() <= 1 + 1e-5
    assert there == pytest.approx(back, abs=1e-5)


def test_a_negative_has_the_same_edges_and_another_picture_has_not() -> None:
    a = _gray(1)
    places = _centres(a.shape)
    assert np.median(edge_likeness(a, 255 - a, places, TILE_PX)) > 0.9
    assert abs(np.median(edge_likeness(a, _gray(4), places, TILE_PX))) < 0.3
