"""Sharpness: what is blurred by anything has less, whatever its size, exposure and noise."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from generate import RGB, encoded, scene

from cvsim.features.sharpness import Sharpness
from cvsim.groups.keep import SHARPNESS_STEP

SEEDS = (0, 1, 4, 7)


def blurred(rgb: RGB, kind: str) -> RGB:
    if kind == "defocused":
        return np.asarray(cv2.GaussianBlur(rgb, (0, 0), 2.0), np.uint8)
    kernel = np.eye(9, dtype=np.float32) / 9
    return np.asarray(cv2.filter2D(rgb, -1, kernel), np.uint8)


@pytest.mark.parametrize("kind", ["defocused", "shaken"])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_blurred_frame_is_less_sharp_though_it_is_brighter_and_noisy(seed: int, kind: str) -> None:
    sharp, soft = scene(seed, arrangement=1), blurred(scene(seed, arrangement=2), kind).astype(np.float64)
    noise = np.random.default_rng(seed).normal(0, 6, soft.shape)
    worse = (soft * 1.2 + noise).clip(0, 255).astype(np.uint8)
    assert Sharpness().extract(sharp) > SHARPNESS_STEP * Sharpness().extract(worse)


@pytest.mark.parametrize("seed", SEEDS)
def test_another_encoding_is_as_sharp_and_a_thumbnail_is_not(seed: int) -> None:
    picture = scene(seed)
    sharpness = Sharpness().extract(picture)
    again = cv2.imdecode(np.frombuffer(encoded(picture, "jpeg", quality=80), np.uint8), cv2.IMREAD_COLOR_RGB)
    assert Sharpness().extract(np.asarray(again, np.uint8)) == pytest.approx(
        sharpness, rel=SHARPNESS_STEP - 1
    )
    small = cv2.resize(picture, None, fx=0.3, fy=0.3, interpolation=cv2.INTER_AREA)
    assert Sharpness().extract(np.asarray(small, np.uint8)) < sharpness / SHARPNESS_STEP


def test_any_picture_has_a_sharpness_and_its_bytes_come_back() -> None:
    measure = Sharpness()
    for shape in ((1, 1, 3), (3, 500, 3), (240, 320, 3)):
        flat = measure.extract(np.full(shape, 128, np.uint8))
        assert flat == 0
    value = measure.extract(scene(3))
    assert measure.from_bytes(measure.to_bytes(value)) == value
    small = Sharpness()
    small.working_px = 256
    assert small.key != measure.key
