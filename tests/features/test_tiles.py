"""Tiles: whole-picture copies correlate in most tiles, another photograph of the place does not."""

from __future__ import annotations

import numpy as np
import pytest
from generate import RGB, altered, near_miss, scene

from cvsim.features.orientation import N_ORIENTATIONS, ORIENTATION_NAMES, turn
from cvsim.features.tiles import Tiles

SEEDS = (0, 1, 3, 8)


@pytest.fixture(scope="module")
def photos() -> dict[int, RGB]:
    return {seed: scene(seed, 320, 240) for seed in SEEDS}


def similarity(a: RGB, b: RGB) -> float:
    tiles = Tiles()
    (said,) = tiles.compare(tiles.extract(a), tiles.extract(b))
    assert said.similarity is not None
    return said.similarity


@pytest.mark.parametrize(
    ("kind", "at_least"),
    [
        ("jpeg-low", 0.97),
        ("half", 0.97),
        ("squeezed", 0.97),
        ("gamma", 0.95),
        ("low-contrast", 0.95),
        ("grey", 0.95),
        ("captioned", 0.9),
        ("stickered", 0.95),
        ("bordered", 0.9),
        ("letterboxed", 0.9),
    ],
)
def test_copies_that_show_the_whole_picture(photos: dict[int, RGB], kind: str, at_least: float) -> None:
    for seed, rgb in photos.items():
        assert similarity(rgb, altered(rgb, kind, seed)) >= at_least, seed


@pytest.mark.parametrize("orientation", range(N_ORIENTATIONS))
def test_the_orientation_is_found_and_named(photos: dict[int, RGB], orientation: int) -> None:
    tiles = Tiles()
    square = photos[3][:, 40:280]
    a, b = tiles.extract(square), tiles.extract(np.ascontiguousarray(turn(square, orientation)))
    (said,) = tiles.compare(a, b)
    assert said.similarity == pytest.approx(1, abs=0.01)
    assert said.detail["orientation"] == ORIENTATION_NAMES[orientation]
    one = np.array([0]), np.array([1])
    _, found = tiles.compare_oriented(tiles.pack([a, b]), *one)
    assert found.tolist() == [orientation]


def test_other_pictures_and_near_misses_stay_apart(photos: dict[int, RGB]) -> None:
    for seed in SEEDS:
        for other in SEEDS:
            assert seed == other or similarity(photos[seed], photos[other]) < 0.6
        assert similarity(*near_miss(seed)) < 0.9


def test_many_pairs_are_more_than_one_chunk(photos: dict[int, RGB]) -> None:
    """The result does not depend on how the pairs are cut into chunks."""
    tiles = Tiles()
    packed = tiles.pack([tiles.extract(rgb) for rgb in photos.values()] + [None])
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, len(SEEDS) + 1, (2, 2500))
    many = tiles.compare_many(packed, a, b)["tiles"]
    for k in range(0, 2500, 97):
        one = tiles.compare_many(packed, a[k : k + 1], b[k : k + 1])["tiles"]
        assert many[k] == pytest.approx(one[0], nan_ok=True, abs=1e-6)
