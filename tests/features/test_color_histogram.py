"""Colour histograms: hold through turns and encoding, notice recolouring, say nothing of grey pictures."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from generate import RGB, altered, scene

from cvsim.features.color_histogram import ColorHistogram
from cvsim.features.orientation import N_ORIENTATIONS, turn

SEEDS = (0, 1, 3, 7)


def similarity(a: RGB, b: RGB) -> float | None:
    color = ColorHistogram()
    (said,) = color.compare(color.extract(a), color.extract(b))
    return said.similarity


@pytest.mark.parametrize("orientation", range(N_ORIENTATIONS))
def test_turning_and_mirroring_change_nothing(orientation: int) -> None:
    square = scene(3, 240, 240)
    assert similarity(square, np.ascontiguousarray(turn(square, orientation))) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("kind", ["jpeg", "half", "webp", "mirrored", "captioned", "crop90"])
def test_copies_keep_their_colours(kind: str) -> None:
    for seed in SEEDS:
        rgb = scene(seed, 320, 240)
        found = similarity(rgb, altered(rgb, kind, seed))
        assert found is not None
        assert found > 0.85, (kind, seed)


def test_another_hue_is_another_colour() -> None:
    for seed in SEEDS:
        rgb = scene(seed, 320, 240)
        hsv = cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV)
        hsv[..., 0] = (hsv[..., 0].astype(int) + 90) % 180
        shifted = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
        found, kept = similarity(rgb, shifted), similarity(rgb, altered(rgb, "jpeg", seed))
        assert found is not None
        assert kept is not None
        assert found < kept - 0.2, seed


def test_where_a_colour_stands_counts() -> None:
    """Red in the middle of blue is not blue in the middle of red."""
    rng = np.random.default_rng(0)
    inner = np.zeros((240, 240, 3), np.uint8)
    inner[:] = (30, 40, 200)
    inner[70:170, 70:170] = (200, 40, 30)
    outer = inner[..., ::-1].copy()
    noise = rng.integers(0, 12, inner.shape).astype(np.uint8)
    found = similarity(inner + noise, outer + noise)
    assert found is not None
    assert found < 0.5


def test_grey_pictures_say_nothing() -> None:
    rgb = scene(3, 320, 240)
    assert similarity(rgb, altered(rgb, "grey")) is None
    assert similarity(altered(rgb, "grey"), altered(rgb, "grey")) is None
