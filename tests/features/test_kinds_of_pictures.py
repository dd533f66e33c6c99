"""Evidence lies where there is something to see: frames, flat ground and missing colours prove nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from generate import RGB, save_image, scene

import cvsim
from cvsim.features.evidence import DRAWN, EXCHANGED, similarities, without_drawn
from cvsim.features.local import Local

SEEDS = (0, 1, 4, 8)
SPEAKS_FOR = 0.8
"""Structure up to which no shipped model takes it for evidence of a copy."""


def _evidence(a: RGB, b: RGB) -> Any:
    local = Local()
    x, y = local.extract(a), local.extract(b)
    assert x is not None
    assert y is not None
    return local.evidence(x, y)


def _said(a: RGB, b: RGB) -> dict[str, float]:
    return {name: float(value) for name, value in similarities(_evidence(a, b)).items()}


def _framed(picture: RGB) -> RGB:
    """In a white frame with handwriting, on a table."""
    framed = np.full((720, 640, 3), (200, 215, 230), np.uint8)
    framed[40:690, 60:580] = 252
    framed[90 : 90 + 360, 80 : 80 + 480] = cv2.resize(picture, (480, 360))
    for y, words in ((540, "summer 2019"), (600, "at the lake"), (660, "with everybody")):
        cv2.putText(framed, words, (120, y), cv2.FONT_HERSHEY_SCRIPT_SIMPLEX, 1.8, (60, 50, 40), 3)
    return framed


def test_two_pictures_in_one_frame_have_no_structure_in_common() -> None:
    for seed in SEEDS:
        a, b = scene(seed, 480, 360), scene(seed + 100, 480, 360)
        assert _said(_framed(a), _framed(b))["structure"] < SPEAKS_FOR, seed
        assert _said(_framed(a), a)["structure"] > 0.9, seed


def _with_sticker(rgb: RGB) -> RGB:
    """A disc of one colour over a sixth of the picture, and words over the rest."""
    painted = rgb.copy()
    height, width = rgb.shape[:2]
    cv2.circle(
        painted, (width * 3 // 5, height // 2), round((height * width / 6 / np.pi) ** 0.5), (20, 200, 90), -1
    )
    for y in (0.2, 0.9):
        cv2.putText(
            painted, "MY HOLIDAY", (20, round(height * y)), cv2.FONT_HERSHEY_SIMPLEX, 1.5, (255, 255, 255), 4
        )
    return painted


def test_what_is_painted_over_a_picture_breaks_less_of_its_structure_than_it_covers() -> None:
    for seed in SEEDS:
        rgb = scene(seed, 480, 360)
        row = _evidence(rgb, _with_sticker(rgb))
        assert row["unlike"] < 0.3 < row["broken"], seed
        assert row["inner_shift_px"] < 0.1, seed
        assert row["spread"] > 0.4, seed


def _solarized(rgb: RGB) -> RGB:
    return np.where(rgb > 150, 255 - rgb, rgb).astype(np.uint8)


def test_other_tones_keep_the_structure() -> None:
    for seed in SEEDS:
        rgb = scene(seed, 480, 360)
        assert _said(rgb, _solarized(rgb))["structure"] > 0.85, seed


def test_without_colour_nothing_is_said_of_colours() -> None:
    gray = np.repeat(cv2.cvtColor(scene(1, 480, 360), cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    darker = (gray * 0.9).astype(np.uint8)
    assert np.isnan(_said(gray, darker)["coloring"])
    assert _said(gray, darker)["pixels"] > 0.9


def test_a_picture_seen_from_one_side_is_rectified() -> None:
    corners = np.array([[0, 0], [640, 0], [640, 480], [0, 480]], np.float32)
    seen = np.array([[110, 40], [610, 0], [640, 480], [0, 395]], np.float32)
    for seed in SEEDS:
        rgb = scene(seed, 640, 480)
        matrix = cv2.getPerspectiveTransform(corners, seen)
        row = _evidence(rgb, cv2.warpPerspective(rgb, matrix, (640, 480)))
        assert row["perspective"], seed
        assert row["share"] > 0.5, seed


def test_a_mirrored_crop_is_found() -> None:
    for seed in SEEDS:
        rgb = scene(seed, 480, 360)
        crop = np.ascontiguousarray(rgb[30:330, 60:440][:, ::-1])
        row = _evidence(rgb, crop)
        assert row["share"] > 0.7, seed
        assert np.linalg.det(row["matrix"][:, :2]) < 0, seed


def test_a_negative_is_found_and_called_so() -> None:
    for seed in SEEDS:
        rgb = scene(seed, 480, 360)
        row = _evidence(rgb, 255 - rgb)
        assert row["negative"], seed
        assert row["share"] > 0.9, seed
        assert not _evidence(rgb, (rgb * 0.8).astype(np.uint8))["negative"]


@pytest.fixture(scope="module")
def large() -> dict[int, RGB]:
    return {seed: scene(seed, 1000, 750) for seed in SEEDS}


@pytest.mark.parametrize("size", [(32, 32), (40, 24), (1000, 100), (30, 400)])
def test_small_and_wide_pictures_are_laid_over_each_other(
    size: tuple[int, int], large: dict[int, RGB]
) -> None:
    for seed, whole in large.items():
        # A strip of the scene: squeezed into the shape, it would have edges of one direction alone.
        share = max(size[0] / 1000, size[1] / 750)
        height, width = round(size[1] / share), round(size[0] / share)
        top, left = (750 - height) // 2, (1000 - width) // 2  # the middle, where no sky is flat
        strip = whole[top : top + height, left : left + width]
        rgb = cv2.resize(strip, size, interpolation=cv2.INTER_AREA)
        said = _said(rgb, np.clip(rgb * 0.95 + 3, 0, 255).astype(np.uint8))
        assert said["pixels"] > 0.8, seed


def _pale_chart(seed: int) -> RGB:
    """A grey field on white paper with hardly any lines, a few dots, and figures beside it."""
    rng = np.random.default_rng(seed)
    chart = np.full((480, 640, 3), 255, np.uint8)
    chart[8:440, 50:630] = 235
    chart[40:440:50, 50:630] = 244
    chart[8:440, 90:630:60] = 244
    for x, y in rng.integers((70, 30), (610, 420), (5, 2)).tolist():
        cv2.circle(chart, (x, y), 3, (60, 60, 60), -1)
    for k in range(5):
        cv2.putText(chart, str(rng.integers(10, 99)), (12, 60 + 90 * k), 0, 0.45, (150, 150, 150), 1)
    return chart


@pytest.mark.parametrize("seed", range(4))
def test_a_frame_s_blur_does_not_outweigh_a_pale_picture(tmp_path: Path, seed: int) -> None:
    chart = _pale_chart(seed)
    save_image(tmp_path / "chart.png", chart)
    framed = cv2.copyMakeBorder(chart, 48, 48, 64, 64, cv2.BORDER_CONSTANT)
    save_image(tmp_path / "framed.jpg", framed, quality=85)
    found = cvsim.compare(tmp_path / "chart.png", tmp_path / "framed.jpg", cache=None)
    assert found.score >= 0.95


def _number_card(seed: int) -> RGB:
    """A grid of close lines with numbers in some of its cells."""
    rng = np.random.default_rng(seed)
    card = np.full((380, 560, 3), (248, 250, 245), np.uint8)
    for row in range(6):
        for column in range(9):
            x, y = 10 + 60 * column, 10 + 60 * row
            cv2.rectangle(card, (x, y), (x + 60, y + 60), (15, 40, 35), 2)
            if rng.random() < 0.6:
                number = str(10 * column + rng.integers(1, 10))
                cv2.putText(card, number, (x + 12, y + 42), cv2.FONT_HERSHEY_DUPLEX, 1.0, (15, 40, 35), 2)
    return card


def test_cards_of_one_grid_are_strangers_and_their_copies_are_not(tmp_path: Path) -> None:
    """Close lines are no texture of a photograph: they may all be the template."""
    for seed in range(8):
        save_image(tmp_path / f"{seed}.png", _number_card(seed))
        save_image(tmp_path / f"{seed}-copy.jpg", cv2.resize(_number_card(seed), (420, 285)), quality=70)
    report = cvsim.dedupe([tmp_path], cache=None, workers=1)
    groups = [{Path(m.record.path).stem.split("-")[0] for m in group.members} for group in report.groups]
    assert sorted(groups, key=min) == [{str(seed)} for seed in range(8)]


def _board(seed: int) -> RGB:
    """A board of 8 x 8 squares with some round pieces on it."""
    rng = np.random.default_rng(seed)
    board = np.full((400, 400, 3), (238, 238, 210), np.uint8)
    for row in range(8):
        for column in range(8):
            x, y = 50 * column, 50 * row
            if (row + column) % 2:
                cv2.rectangle(board, (x, y), (x + 49, y + 49), (118, 150, 86), -1)
            if rng.random() < 0.45:
                inside = (250, 250, 250) if row > 3 else (30, 30, 30)
                cv2.circle(board, (x + 25, y + 25), 17, inside, -1, cv2.LINE_AA)
                cv2.circle(board, (x + 25, y + 25), 17, (10, 10, 10), 2, cv2.LINE_AA)
    return board


def test_two_positions_on_one_board_are_strangers_and_their_copies_are_not(tmp_path: Path) -> None:
    """Each has pieces where the other has none, which paint in one place of a copy does not do."""
    for seed in range(6):
        save_image(tmp_path / f"{seed}.png", _board(seed))
        save_image(tmp_path / f"{seed}-copy.jpg", _board(seed), quality=90)
        painted = cv2.circle(_board(seed), (240, 200), 92, (20, 200, 90), -1)
        assert _evidence(_board(seed), painted)["exchanged"] < EXCHANGED[0], seed
        assert _evidence(_board(seed), _board(seed + 6))["exchanged"] > EXCHANGED[1], seed
    report = cvsim.dedupe([tmp_path], cache=None, workers=1)
    groups = [{Path(m.record.path).stem.split("-")[0] for m in group.members} for group in report.groups]
    assert sorted(groups, key=min) == [{str(seed)} for seed in range(6)]


def test_only_what_is_drawn_has_no_grain() -> None:
    local = Local()

    def drawn(rgb: RGB) -> float:
        descriptor = local.extract(rgb)
        assert descriptor is not None
        assert local.from_bytes(local.to_bytes(descriptor)).drawn == descriptor.drawn
        return descriptor.drawn

    assert drawn(_number_card(0)) > DRAWN
    assert drawn(np.full((200, 300, 3), 90, np.uint8)) == 1
    rng = np.random.default_rng(0)
    for seed in SEEDS:
        photo = scene(seed, 480, 360) + rng.integers(0, 3, (360, 480, 1), np.uint8)
        assert drawn(photo) < DRAWN / 2, seed


def test_texture_is_taken_from_drawings_that_agree_little_alone() -> None:
    texture = np.array([1.0, 1.0, 1.0, 0.2], np.float32)
    pixels = np.array([0.5, 0.9, 0.5, np.nan], np.float32)
    drawn = np.array([0.9, 0.9, 0.1, 0.9])
    assert np.allclose(without_drawn(texture, pixels, drawn), [0.1, 1.0, 1.0, 0.1])


def test_what_is_described_in_the_mirror_is_stored() -> None:
    local = Local()
    descriptor = local.extract(scene(4, 480, 360))
    assert descriptor is not None
    back = local.from_bytes(local.to_bytes(descriptor))
    assert len(back.mirrored) > 50
    assert np.array_equal(back.mirrored, descriptor.mirrored)
