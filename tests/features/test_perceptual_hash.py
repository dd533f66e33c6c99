"""Hashes: bit for bit those of `imagehash`, and the orientations of the composite hash without a pixel."""

from __future__ import annotations

import cv2
import imagehash
import numpy as np
import pytest
from generate import RGB, altered, encoded, near_miss, scene
from hypothesis import given, settings, strategies as st
from PIL import Image

from cvsim.features import make_features
from cvsim.features.orientation import N_ORIENTATIONS, ORIENTATION_NAMES, turn
from cvsim.features.perceptual_hash import (
    _MASKS_64,
    _MASKS_256,
    KINDS,
    PerceptualHash,
    TurnedHash,
    average_bits,
    dct_bits,
    difference_bits,
    pack_bits,
    sign_words,
    turned_words,
    wavelet_bits,
)
from cvsim.images.decode import decode
from cvsim.reading.extraction import WORKING_PX

REFERENCE = {
    "ahash": (average_bits, imagehash.average_hash),
    "dhash": (difference_bits, imagehash.dhash),
    "phash64": (dct_bits, imagehash.phash),
    "phash256": (lambda rgb: dct_bits(rgb, 16), lambda image: imagehash.phash(image, hash_size=16)),
    "whash": (wavelet_bits, imagehash.whash),
}

SCENES = [scene(seed, 160, 120) for seed in range(10)]


@st.composite
def pictures(draw: st.DrawFn) -> RGB:
    """Windows of scenes, of many sizes: photographs, and very small pieces of them."""
    rgb = draw(st.sampled_from(SCENES))
    height, width = draw(st.integers(8, 120)), draw(st.integers(8, 160))
    top, left = draw(st.integers(0, 120 - height)), draw(st.integers(0, 160 - width))
    return np.ascontiguousarray(rgb[top : top + height, left : left + width])


def test_every_kind_has_a_reference() -> None:
    assert set(REFERENCE) == set(KINDS)


@pytest.mark.parametrize("kind", sorted(KINDS))
@given(rgb=pictures())
@settings(max_examples=25, deadline=None)
def test_the_bits_are_those_of_imagehash(kind: str, rgb: RGB) -> None:
    bits, reference = REFERENCE[kind]
    assert np.array_equal(bits(rgb), reference(Image.fromarray(rgb)).hash)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_distance_is_that_of_imagehash(kind: str) -> None:
    feature, (_, reference) = PerceptualHash(kind), REFERENCE[kind]
    a, b = (altered(scene(4, 320, 240), name) for name in ("jpeg-low", "brighter"))
    (said,) = feature.compare(feature.extract(a), feature.extract(b))
    distance = reference(Image.fromarray(a)) - reference(Image.fromarray(b))
    assert said.detail["distance_bits"] == distance
    assert said.similarity == 1 - distance / KINDS[kind].n_bits


@given(bits=st.lists(st.booleans(), min_size=64, max_size=64))
@settings(max_examples=50, deadline=None)
def test_words_hold_the_bits_in_reading_order(bits: list[bool]) -> None:
    (word,) = pack_bits(np.array(bits))
    assert f"{int(word):064b}" == "".join(str(int(bit)) for bit in bits)


# --- eight orientations -----------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(N_ORIENTATIONS))
@pytest.mark.parametrize("seed", [0, 3, 9])
def test_a_turned_picture_is_the_same_to_the_last_bit(seed: int, orientation: int) -> None:
    feature = TurnedHash()
    rgb = scene(seed, 320, 240)
    turned = np.ascontiguousarray(turn(rgb, orientation))
    (said,) = feature.compare(feature.extract(rgb), feature.extract(turned))
    # Area means of a turned picture may round to another level: a coefficient near 0 may change its sign.
    assert said.detail["distance_bits"] <= 4
    assert said.detail["orientation"] == ORIENTATION_NAMES[orientation]


@given(orientation=st.integers(0, 7), seed=st.integers(0, 9))
@settings(max_examples=25, deadline=None)
def test_words_of_a_turned_square_follow_without_its_pixels(orientation: int, seed: int) -> None:
    """Where the square itself is turned, with no resizing between, all eight words are exact."""
    square = np.random.default_rng(seed).integers(0, 256, (64, 64)).astype(np.uint8)
    w64, w256 = sign_words(square)
    turned64, turned256 = sign_words(np.ascontiguousarray(turn(square, orientation)))
    assert np.array_equal(turned_words(w64[None], _MASKS_64)[0, orientation], turned64)
    assert np.array_equal(turned_words(w256[None], _MASKS_256)[0, orientation], turned256)


def test_turned_copies_are_found_by_their_keys() -> None:
    feature = TurnedHash()
    rgb = scene(3, 320, 240)
    turned = [np.ascontiguousarray(turn(rgb, k)) for k in range(N_ORIENTATIONS)]
    keys = feature.hash_keys(feature.pack([feature.extract(t) for t in turned]))
    assert keys is not None
    for stored in keys.stored:
        distance = np.bitwise_count(keys.variants ^ stored).min(axis=1)
        assert (distance <= feature.radius_bits).all()


@pytest.mark.parametrize("kind", ["bordered", "letterboxed"])
def test_what_is_inside_a_border_is_hashed_on_its_own(kind: str) -> None:
    feature = TurnedHash()
    for seed in (0, 1, 2):
        rgb = scene(seed, 320, 240)
        (said,) = feature.compare(feature.extract(rgb), feature.extract(altered(rgb, kind, seed)))
        assert said.similarity is not None
        assert said.similarity > 0.85, (kind, seed)


def test_other_pictures_are_far() -> None:
    feature = TurnedHash()
    hashes = [feature.extract(s) for s in SCENES]
    for i in range(len(hashes)):
        for j in range(i):
            assert feature.compare(hashes[i], hashes[j])[0].similarity < 0.75  # type: ignore[operator]


# --- what decoding at a reduced size adds -----------------------------------------------------------------


@pytest.fixture(scope="module")
def decodings() -> list[tuple[RGB, RGB]]:
    """Large JPEG pictures, each as the pipeline decodes it and at full size."""
    found = []
    for seed in range(3):
        large = cv2.resize(scene(seed, 640, 480), (1600, 1200), interpolation=cv2.INTER_CUBIC)
        data = encoded(large, "JPEG", quality=92)
        reduced, full = (decode(data, longest_px=side, format="jpeg").rgb for side in (WORKING_PX, 1600))
        assert (max(reduced.shape), max(full.shape)) == (WORKING_PX, 1600)
        found.append((reduced, full))
    return found


@pytest.mark.parametrize("kind", [*sorted(KINDS), "phash"])
def test_decoding_at_a_reduced_size_adds_little(kind: str, decodings: list[tuple[RGB, RGB]]) -> None:
    """`benchmarks/reduced_decoding.py` measures it on real photographs."""
    (feature,) = make_features([kind])
    for reduced, full in decodings:
        (said,) = feature.compare(feature.extract(reduced), feature.extract(full))
        assert said.similarity is not None
        assert said.similarity >= 1 - 0.05


def test_near_misses_are_not_equal() -> None:
    feature = TurnedHash()
    a, b = near_miss(4)
    (said,) = feature.compare(feature.extract(a), feature.extract(b))
    assert said.similarity is not None
    assert said.similarity < 0.95
