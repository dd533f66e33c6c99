"""The pictures that tests are made of behave as photographs do."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import imagehash
import numpy as np
import pytest
from generate import KINDS, LIGHT_KINDS, RGB, altered, copy_set, near_miss, scene
from PIL import Image
from scenes import SCENES


def phash_bits(a: RGB, b: RGB) -> int:
    """Distance of 64-bit DCT hashes."""
    return int(imagehash.phash(Image.fromarray(a)) - imagehash.phash(Image.fromarray(b)))


@pytest.mark.parametrize("seed", range(len(SCENES)))
def test_a_scene_is_detailed_and_repeatable(seed: int) -> None:
    rgb = scene(seed, 320, 240)
    assert rgb.shape == (240, 320, 3)
    assert rgb.dtype == np.uint8
    assert np.array_equal(rgb, scene(seed, 320, 240))
    assert rgb.std() > 20
    keypoints = cv2.ORB_create(500).detect(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), None)
    assert len(keypoints) > 200


@pytest.mark.parametrize("seed", range(len(SCENES)))
def test_a_near_miss_is_another_photograph(seed: int) -> None:
    first, second = near_miss(seed)
    assert first.shape == second.shape
    assert phash_bits(first, second) > 6


@pytest.mark.parametrize("kind", KINDS)
def test_an_altered_copy_is_a_picture_of_its_own(kind: str, photo: RGB) -> None:
    copy = altered(photo, kind, seed=1)
    assert copy.dtype == np.uint8
    assert copy.ndim == 3
    assert copy.flags.c_contiguous
    assert copy.shape != photo.shape or not np.array_equal(copy, photo)
    assert np.array_equal(copy, altered(photo, kind, seed=1))


@pytest.mark.parametrize("kind", LIGHT_KINDS)
def test_hashes_hold_through_light_kinds(kind: str, photo: RGB) -> None:
    assert phash_bits(photo, altered(photo, kind)) <= 12


def test_a_copy_set_is_what_its_truth_says(tmp_path: Path) -> None:
    rows = copy_set(tmp_path, n_scenes=2, kinds=["jpeg", "crop50"], size=(96, 72), n_others=1)
    files = sorted(path.name for path in (tmp_path / "images").iterdir())
    assert [row.file for row in rows] == files
    assert len(files) == 2 * 3 + 1
    with (tmp_path / "truth.csv").open() as stream:
        assert [tuple(row.values()) for row in csv.DictReader(stream)] == [
            (row.file, row.group, row.kind) for row in rows
        ]
