"""One rule of colours explains an edited copy, and not a product in another colour."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from generate import RGB, scene

from cvsim.features.local import Local
from cvsim.features.perceptual_hash import TurnedHash, without_strokes

SEEDS = (0, 1, 4, 8)


def _said(a: RGB, b: RGB) -> tuple[float, float]:
    """How far one rule explains the colours, and how far the pixels agree."""
    local = Local()
    x, y = local.extract(a), local.extract(b)
    assert x is not None
    assert y is not None
    said = {c.feature: c.similarity for c in local.compare(x, y)}
    assert said["pixels"] is not None
    # Of a picture without colour nothing is said.
    return 1.0 if said["coloring"] is None else said["coloring"], said["pixels"]


def _gray(rgb: RGB) -> RGB:
    return np.repeat(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)


def _sepia(rgb: RGB) -> RGB:
    matrix = np.array([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]])
    return np.clip(rgb @ matrix.T, 0, 255).astype(np.uint8)


EDITS = {
    "brighter": lambda rgb: np.clip(rgb * 1.2, 0, 255).astype(np.uint8),
    "gamma": lambda rgb: (255 * (rgb / 255) ** 1.6).astype(np.uint8),
    "paler": lambda rgb: (rgb * 0.6 + 60).astype(np.uint8),
    "gray": _gray,
    "sepia": _sepia,
    "half desaturated": lambda rgb: (rgb * 0.5 + _gray(rgb) * 0.5).astype(np.uint8),
    "warmer": lambda rgb: np.clip(rgb * np.array([1.06, 1.0, 0.92]), 0, 255).astype(np.uint8),
}


@pytest.mark.parametrize("edit", EDITS)
def test_one_rule_for_the_whole_picture_is_a_copy(edit: str) -> None:
    for seed in SEEDS:
        rgb = scene(seed, 480, 360)
        coloring, pixels = _said(rgb, EDITS[edit](rgb))
        assert coloring > 0.8, seed
        assert pixels > 0.5, seed


def _product(hue: int) -> RGB:
    """Folded cloth of one hue on a wall, held by a hand."""
    y, x = np.mgrid[0:360, 0:480].astype(np.float32)
    folds = 120 + 45 * np.sin(x / 9 + 0.02 * y) + 25 * np.sin(y / 13 - x / 31)
    hsv = np.zeros((360, 480, 3), np.uint8)
    hsv[..., 0], hsv[..., 1], hsv[..., 2] = hue, 190, np.clip(folds, 0, 255)
    wall = np.clip(200 + 12 * np.sin(x / 50), 0, 255)
    is_cloth = (np.abs(x - 240) < 110) & (np.abs(y - 200) < 120)
    picture = np.where(is_cloth[..., None], cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), wall[..., None])
    hand = (x - 240) ** 2 + (y - 60) ** 2 < 45**2
    skin = np.array([205, 150, 120]) * (0.8 + 0.2 * np.sin((x + y) / 15))[..., None]
    return np.where(hand[..., None], skin, picture).astype(np.uint8)


def _flag(seed: int) -> RGB:
    """A striped cloth before a dull wall."""
    shading = scene(seed, 480, 360).mean(axis=2, keepdims=True)
    picture = (68 + 0.25 * shading) * np.array([0.85, 0.95, 1.1])
    is_red = ((np.arange(130) // 13) % 2 == 0)[:, None, None]
    stripes = np.where(is_red, [190.0, 45.0, 55.0], [200.0, 200.0, 205.0])
    picture[200:330, 260:460] = stripes * (0.75 + 0.25 * shading[200:330, 260:460] / 255)
    return np.clip(picture, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("hue", "other"), [(0, 110), (60, 120), (20, 150)])
def test_a_product_in_another_colour_is_not_the_same_picture(hue: int, other: int) -> None:
    a, b = _product(hue), _product(other)
    coloring, _ = _said(a, b)
    assert coloring < 0.5
    assert _said(a, EDITS["brighter"](a))[0] > 0.8


def _person(cloth: tuple[int, int, int]) -> RGB:
    """A plain garment, without a fold, on skin before white: only its outline has structure."""
    y, x = np.mgrid[0:480, 0:360].astype(np.float32)
    skin = np.array([214, 160, 130]) * (0.9 + 0.1 * np.sin(x / 17 + y / 29))[..., None]
    body = ((x - 180) / 90) ** 2 + ((y - 300) / 260) ** 2 < 1
    picture = np.where(body[..., None], skin, 255.0)
    hair = ((x - 180) / 60) ** 2 + ((y - 70) / 45) ** 2 < 1
    picture[hair] = np.array([70, 45, 30]) * (0.8 + 0.2 * np.sin(x[hair] / 3))[:, None]
    trousers = body & (y > 390)
    picture[trousers] = np.array([90, 90, 100]) * (0.8 + 0.2 * np.sin((x + y)[trousers] / 7))[:, None]
    picture[body & (y > 190) & (y < 280)] = cloth
    return cv2.GaussianBlur(picture, (0, 0), 0.8).astype(np.uint8)


@pytest.mark.parametrize(
    ("cloth", "other"),
    [((40, 60, 220), (250, 170, 60)), ((250, 170, 60), (235, 235, 110)), ((120, 130, 190), (135, 135, 138))],
    ids=["blue and orange", "orange and yellow", "a colour that a cast would explain"],
)
def test_a_plain_garment_in_another_colour_is_not_the_same_picture(
    cloth: tuple[int, int, int], other: tuple[int, int, int]
) -> None:
    a, b = _person(cloth), _person(other)
    coloring, pixels = _said(a, b)
    assert pixels > 0.5
    assert coloring < 0.5
    for edit in ("brighter", "paler", "gray", "half desaturated"):
        assert _said(a, EDITS[edit](a))[0] > 0.8, edit


def test_a_narrow_trim_in_another_colour_is_not_the_same_picture() -> None:
    trims = []
    for color in ((200, 70, 60), (70, 150, 90)):
        picture = _person((60, 60, 70))
        body = (picture.min(axis=2) < 250) & (np.arange(480) > 262)[:, None] & (np.arange(480) < 282)[:, None]
        picture[body] = color
        trims.append(picture)
    coloring, pixels = _said(*trims)
    assert pixels > 0.5
    assert coloring < 0.5


def test_a_sticker_is_no_colour_of_its_own() -> None:
    """What is painted over breaks the structure, too."""
    for seed in SEEDS:
        rgb = scene(seed, 480, 360)
        stickered = rgb.copy()
        cv2.ellipse(stickered, (200, 160), (90, 70), 0, 0, 360, (220, 40, 60), -1, cv2.LINE_AA)
        coloring, pixels = _said(rgb, stickered)
        assert coloring > 0.5, seed
        assert pixels > 0.3, seed


def test_what_a_sticker_leaves_unchanged_is_no_colour_of_its_own() -> None:
    """A rule that explains the sticker makes the rest odd; that nothing else changed explains more."""
    for seed in SEEDS:
        rgb = _flag(seed)
        stickered = rgb.copy()
        cv2.ellipse(stickered, (170, 200), (110, 80), 0, 0, 360, (160, 35, 185), -1, cv2.LINE_AA)
        coloring, pixels = _said(rgb, stickered)
        assert coloring > 0.8, seed
        assert pixels > 0.5, seed


def test_strokes_go_and_the_rest_stays() -> None:
    square = cv2.GaussianBlur(np.random.default_rng(5).integers(0, 256, (128, 128), np.uint8), (0, 0), 9)
    square = cv2.normalize(square, None, 60, 190, cv2.NORM_MINMAX)
    written = square.copy()
    for y in (30, 70, 110):
        cv2.putText(written, "CAPTION", (8, y), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 255, 3, cv2.LINE_AA)
    before = np.abs(written.astype(int) - square).mean()
    after = np.abs(without_strokes(written).astype(int) - without_strokes(square)).mean()
    assert after < 0.35 * before  # a third with OpenCV 5, a little more with 4


def test_a_caption_hardly_moves_the_hash() -> None:
    hashes = TurnedHash()
    for seed in SEEDS:
        rgb = scene(seed, 480, 360)
        captioned = rgb.copy()
        for y in (70, 190, 310):
            cv2.putText(captioned, "MY HOLIDAY 2026", (20, y), cv2.FONT_HERSHEY_SIMPLEX, 1.5, (255,) * 3, 7)
        (said,) = hashes.compare(hashes.extract(rgb), hashes.extract(captioned))
        assert (said.similarity or 0.0) > 0.75, seed
