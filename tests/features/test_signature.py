"""The image-match signature against the paper's steps, told once more as plainly as can be."""

from __future__ import annotations

import numpy as np
import pytest
from generate import altered, scene
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray

from cvsim.candidates.blocking import hash_candidates
from cvsim.features.signature import Signature, signature_levels, word_keys

AROUND = [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)]


def gray_of(seed: int, width: int = 320, height: int = 240) -> NDArray[np.float64]:
    return scene(seed, width, height) @ np.array([0.2125, 0.7154, 0.0721]) / 255


def crop(differences: list[float], size: int) -> tuple[int, int]:
    """Between the 5th and the 95th percentile of the differences summed so far."""
    summed, total = [], 0.0
    for value in differences:
        total += value
        summed.append(total)
    low, high = np.percentile(summed, 5), np.percentile(summed, 95)
    first = sum(value <= low for value in summed)
    last = sum(value < high for value in summed)
    return (first, last) if first <= last else (int(0.05 * size), int(0.95 * size))


def plain_signature(gray: NDArray[np.float64]) -> list[int]:
    """Steps 1 to 4 of the paper, loop by loop."""
    height, width = gray.shape
    by_row = [sum(abs(gray[y, x + 1] - gray[y, x]) for x in range(width - 1)) for y in range(height)]
    by_column = [sum(abs(gray[y + 1, x] - gray[y, x]) for y in range(height - 1)) for x in range(width)]
    top, bottom = crop(by_row, height)
    left, right = crop(by_column, width)
    side = max(2, int(0.5 + min(height, width) / 20))
    mean = {}
    for i in range(9):
        for j in range(9):
            y = max(int(top + (bottom - top) * (i + 1) / 10) - side / 2, 0)
            x = max(int(left + (right - left) * (j + 1) / 10) - side / 2, 0)
            mean[i, j] = gray[int(y) : int(y) + side, int(x) : int(x) + side].mean()
    differences = [
        mean[i, j] - mean[i + di, j + dj] if (i + di, j + dj) in mean else 0.0
        for i in range(9)
        for j in range(9)
        for di, dj in AROUND
    ]
    brighter = sorted(d for d in differences if d >= 2 / 255)
    darker = sorted(-d for d in differences if d <= -2 / 255)
    signature = []
    for d in differences:
        if abs(d) < 2 / 255:
            signature.append(0)
        elif d > 0:
            signature.append(1 if d <= np.median(brighter) else 2)
        else:
            signature.append(-1 if -d <= np.median(darker) else -2)
    return signature


@pytest.mark.parametrize(("seed", "width", "height"), [(1, 96, 72), (2, 71, 133), (3, 160, 40), (4, 25, 30)])
def test_the_signature_is_that_of_the_paper(seed: int, width: int, height: int) -> None:
    gray = gray_of(seed, width, height)
    assert signature_levels(gray).tolist() == plain_signature(gray)


def test_a_border_is_left_out() -> None:
    gray = gray_of(5)
    framed = np.pad(gray, 12, constant_values=0.0)
    assert similarity_of(signature_levels(gray), signature_levels(framed)) > 0.6
    assert signature_levels(framed).tolist() == plain_signature(framed)


def test_brightness_and_contrast_change_next_to_nothing() -> None:
    gray = gray_of(6)
    assert similarity_of(signature_levels(gray), signature_levels(0.7 * gray + 0.2)) > 0.85


def similarity_of(a: NDArray[np.int8], b: NDArray[np.int8]) -> float:
    similarity = Signature().compare(a, b)[0].similarity
    assert similarity is not None
    return similarity


def test_a_featureless_picture_has_none() -> None:
    assert not signature_levels(np.full((100, 80), 0.5)).any()
    assert Signature().extract(np.full((100, 80, 3), 90, np.uint8)) is None


def test_copies_are_told_from_other_photographs() -> None:
    feature = Signature()
    photo = feature.extract(scene(2, 320, 240))
    for kind in ("jpeg-low", "half", "grey"):
        copy = feature.extract(altered(scene(2, 320, 240), kind, 2))
        assert feature.compare(photo, copy)[0].similarity > 0.7, kind
    for seed in range(3, 9):
        other = feature.extract(scene(seed, 320, 240))
        assert feature.compare(photo, other)[0].similarity < 0.5


# --- words ------------------------------------------------------------------------------------------------


def plain_words(signature: list[int]) -> list[tuple[int, ...]]:
    """The 63 words: 16 values each, only their signs, zeros beyond the end."""
    signs = [(value > 0) - (value < 0) for value in signature] + [0] * 16
    return [tuple(signs[k * 648 // 63 : k * 648 // 63 + 16]) for k in range(63)]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(-2, 2), min_size=648, max_size=648), st.lists(st.integers(0, 647), max_size=40))
def test_two_keys_are_equal_where_the_words_are(values: list[int], changed: list[int]) -> None:
    other = list(values)
    for k in changed:
        other[k] = -other[k] or 1
    keys = word_keys(np.array([values, other], np.int8))
    assert keys.shape == (2, 63)
    expected = [a == b for a, b in zip(plain_words(values), plain_words(other), strict=True)]
    assert (keys[0] == keys[1]).tolist() == expected
    assert len(set(keys[0].tolist())) == 63, "words of two places are never one"


def test_a_key_differs_by_as_many_bits_as_its_letters_by_steps() -> None:
    values = np.zeros((3, 648), np.int8)
    values[0, 0], values[1, 0], values[2, 0] = -1, 0, 2
    first = word_keys(values)[:, 0].tolist()
    assert [(first[0] ^ key).bit_count() for key in first] == [0, 1, 2]


def test_pictures_that_share_a_word_are_candidates() -> None:
    feature = Signature()
    pictures = [scene(2, 320, 240), altered(scene(2, 320, 240), "jpeg-low", 2), scene(3, 320, 240)]
    levels = [feature.extract(picture) for picture in pictures]
    packed = feature.pack([*levels, None])
    a, b = hash_candidates([feature], {"signature": packed}, np.zeros(4, np.int64))
    words = [set(enumerate(plain_words(level.tolist()))) for level in levels]  # type: ignore[union-attr]
    expected = [(i, j) for i in range(3) for j in range(i + 1, 3) if words[i] & words[j]]
    assert list(zip(a.tolist(), b.tolist(), strict=True)) == expected
    assert (0, 1) in expected


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(-2, 2), min_size=648, max_size=648))
def test_bytes_hold_the_signature(values: list[int]) -> None:
    levels = np.array(values, np.int8)
    data = Signature().to_bytes(levels)
    assert len(data) == 216
    assert Signature().from_bytes(data).tolist() == values
