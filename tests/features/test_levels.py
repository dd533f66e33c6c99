"""Levels: encoding and scaling move no point by much, a word or another colour does."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from generate import RGB, altered, near_miss, scene

from cvsim.features.levels import Levels
from cvsim.features.orientation import N_ORIENTATIONS, turn

SEEDS = (0, 1, 3, 8)


def similarity(a: RGB, b: RGB) -> float:
    levels = Levels()
    (said,) = levels.compare(levels.extract(a), levels.extract(b))
    assert said.similarity is not None
    return said.similarity


@pytest.mark.parametrize("seed", SEEDS)
def test_what_was_only_encoded_scaled_or_turned_is_level(seed: int) -> None:
    photo = cv2.GaussianBlur(scene(seed, 640, 480), (0, 0), 2)  # as sharp as a photograph, not as noise
    _, coded = cv2.imencode(".jpg", photo, [cv2.IMWRITE_JPEG_QUALITY, 75])
    encoded = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
    halved = np.asarray(cv2.resize(photo, (320, 240), interpolation=cv2.INTER_AREA), np.uint8)
    for copy in (
        encoded,
        halved,
        np.ascontiguousarray(encoded[:, ::-1]),
        np.ascontiguousarray(np.rot90(halved)),
    ):
        assert similarity(photo, copy) > 0.4


@pytest.mark.parametrize("kind", ["grey", "captioned", "stickered", "gamma", "crop50"])
@pytest.mark.parametrize("seed", SEEDS)
def test_what_was_changed_is_not(kind: str, seed: int) -> None:
    photo = scene(seed, 320, 240)
    assert similarity(photo, altered(photo, kind, seed)) < 0.3


@pytest.mark.parametrize("orientation", range(N_ORIENTATIONS))
def test_any_turn_of_the_same_points_is_as_good(orientation: int) -> None:
    levels = Levels()
    square = levels.extract(scene(3, 240, 240))
    assert square is not None
    turned = np.ascontiguousarray(turn(square, orientation))
    (said,) = levels.compare(square, turned)
    assert said.similarity == 1
    many = levels.compare_many(levels.pack([square, turned]), np.array([0, 1]), np.array([1, 0]))
    assert many["levels"].tolist() == [1, 1]


def test_another_colour_of_the_same_lightness_is_seen() -> None:
    photo = scene(3, 320, 240)
    tinted = photo[..., [1, 2, 0]]
    assert similarity(photo, np.ascontiguousarray(tinted)) < 0.3


def test_near_misses_and_other_pictures_are_not_level() -> None:
    for seed in SEEDS:
        assert similarity(*near_miss(seed)) < 0.3
        assert similarity(scene(seed, 320, 240), scene(seed + 20, 320, 240)) < 0.1


def test_a_collection_without_pictures_is_no_error() -> None:
    levels = Levels()
    none = np.zeros(0, np.int64)
    assert levels.compare_many(levels.pack([]), none, none)["levels"].shape == (0,)
    assert np.isnan(levels.compare_many(levels.pack([None, None]), none[:0], none[:0])["levels"]).sum() == 0
