"""The picture of a compared pair: what is drawn is where geometry says, and nothing odd breaks it."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from generate import RGB, scene
from hypothesis import given, settings, strategies as st
from PIL import Image, ImageFont

from cvsim.api.pictures import compare
from cvsim.errors import CvsimError, UsageError
from cvsim.features.local import Local
from cvsim.reports.lettering import drawable, font, shortened
from cvsim.reports.match_picture import AGAINST, FOR, WIDTH_PX, Shown, match_picture
from cvsim.reports.matches import DrawnMatches, agreeing_keypoints, overlap_matrix
from cvsim.types import Comparison, Pair, ScoredPair

PHOTO = scene(2, 480, 360)
NONE = DrawnMatches(np.zeros((0, 2)), np.zeros((0, 2)))


def scored(matrix: list[list[float]] | None, weight: float = 8.0) -> ScoredPair:
    detail = {} if matrix is None else {"matrix": matrix}
    pixels = Comparison("pixels", 0.9, weight, detail)
    return ScoredPair(Pair("a.jpg", "b.jpg"), -7.0, 0.73, "edited", None, (pixels,))


def drawn(data: bytes) -> RGB:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def shown(rgb: RGB, name: str = "a.jpg") -> Shown:
    return Shown(rgb, name, rgb.shape[1], rgb.shape[0])


def is_colour(sheet: RGB, colour: tuple[int, int, int]) -> np.ndarray:
    return (np.abs(sheet.astype(int) - colour) <= 4).all(axis=2)


# --- where the keypoints are ------------------------------------------------------------------------------


def matches_of(a: RGB, b: RGB) -> DrawnMatches:
    pair = compare(a, b, cache=None).result
    return agreeing_keypoints(Local(), a, b, overlap_matrix(pair))


def test_keypoints_of_a_crop_lie_where_it_was_cut() -> None:
    crop = np.ascontiguousarray(PHOTO[90:330, 120:440])
    found = matches_of(PHOTO, crop)
    assert len(found) >= 10
    expected = (found.a * (480, 360) - (120, 90)) / (320, 240)
    assert np.abs(found.b - expected).max() < 0.04


def test_keypoints_of_a_mirrored_picture_lie_mirrored() -> None:
    found = matches_of(PHOTO, np.ascontiguousarray(PHOTO[:, ::-1]))
    assert len(found) >= 10
    assert np.abs(found.b[:, 0] - (1 - found.a[:, 0])).max() < 0.04
    assert np.abs(found.b[:, 1] - found.a[:, 1]).max() < 0.04


def test_of_a_flat_picture_no_keypoints_agree() -> None:
    flat = np.full((200, 300, 3), 120, np.uint8)
    assert len(agreeing_keypoints(Local(), PHOTO, flat, None)) == 0
    assert len(agreeing_keypoints(Local(), flat, flat, np.eye(2, 3))) == 0


def test_keypoints_that_agree_on_something_else_are_left_out() -> None:
    elsewhere = np.array([[1.0, 0, 0.3], [0, 1.0, 0]])
    assert len(agreeing_keypoints(Local(), PHOTO, PHOTO, np.eye(2, 3))) >= 10
    assert len(agreeing_keypoints(Local(), PHOTO, PHOTO, elsewhere)) == 0


# --- what is drawn ----------------------------------------------------------------------------------------


def test_what_overlaps_is_outlined_and_the_rest_is_pale() -> None:
    """The right half of `a` is all of `b`."""
    gray = np.full((300, 400, 3), 60, np.uint8)
    right_half = [[2.0, 0.0, -1.0], [0.0, 1.0, 0.0]]
    sheet = drawn(match_picture(scored(right_half), shown(gray), shown(gray), NONE, 0.95))
    panel = sheet[20 : 20 + 390, 20 : 20 + 520]
    assert panel[195, 130].min() > 150
    assert panel[195, 390].max() < 80
    outline = is_colour(panel, FOR)
    columns = np.flatnonzero(outline[20:-20].mean(axis=0) > 0.9)
    assert columns.min() == pytest.approx(260, abs=3)
    assert columns.max() == pytest.approx(519, abs=3)


def test_pixels_that_speak_against_a_copy_are_outlined_in_red_and_nothing_is_pale() -> None:
    gray = np.full((300, 400, 3), 60, np.uint8)
    matrix = [[2.0, 0.0, -1.0], [0.0, 1.0, 0.0]]
    sheet = drawn(match_picture(scored(matrix, -2.0), shown(gray), shown(gray), NONE, 0.95))[:400]
    assert is_colour(sheet, AGAINST).any()
    assert not is_colour(sheet, FOR).any()
    assert sheet[200, 150].max() < 80


def test_without_an_overlap_the_pictures_are_drawn_as_they_are() -> None:
    gray = np.full((300, 400, 3), 60, np.uint8)
    sheet = drawn(match_picture(scored(None), shown(gray), shown(gray), NONE, 0.95))
    assert (sheet[20:410, 20:540] == 60).all()


def test_mirroring_and_turning_keep_the_whole_outlined() -> None:
    gray = np.full((300, 300, 3), 60, np.uint8)
    for matrix in ([[-1.0, 0.0, 1.0], [0.0, 1.0, 0.0]], [[0.0, -1.0, 1.0], [1.0, 0.0, 0.0]]):
        sheet = drawn(match_picture(scored(matrix), shown(gray), shown(gray), NONE, 0.95))[:440]
        assert (sheet[40:440, 80:400].max(axis=2) < 200).all()
        assert is_colour(sheet, FOR).sum() > 2000


def test_every_match_is_marked_in_both_pictures() -> None:
    gray = np.full((300, 400, 3), 0, np.uint8)
    places = np.array([[0.25, 0.25], [0.5, 0.75]])
    sheet = drawn(match_picture(scored(None), shown(gray), shown(gray), DrawnMatches(places, places), 0.95))
    for left in (20, 560):
        for x, y in places:
            assert sheet[round(20 + y * 390), round(left + x * 520)].max() > 150


@pytest.mark.parametrize("format", ["PNG", "JPEG"])
def test_both_formats_are_written(format: str) -> None:
    data = match_picture(scored(None), shown(PHOTO), shown(PHOTO), None, 0.95, format=format)
    picture = Image.open(io.BytesIO(data))
    assert picture.format == format
    assert picture.width == WIDTH_PX


@pytest.mark.parametrize("threshold", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(
    ("size_a", "size_b"),
    [((1, 1), (300, 200)), ((4, 600), (600, 4)), ((60, 900), (50, 700)), ((1, 600), (1, 1))],
)
def test_pictures_of_any_shape_find_a_place(
    size_a: tuple[int, int], size_b: tuple[int, int], threshold: float
) -> None:
    a, b = (np.full((*size, 3), 90, np.uint8) for size in (size_a, size_b))
    sheet = drawn(match_picture(scored([[1.0, 0, 0], [0, 1.0, 0]]), shown(a), shown(b), NONE, threshold))
    assert sheet.shape[1] == WIDTH_PX
    assert sheet.shape[0] < 2000


def test_wide_pictures_stand_above_each_other() -> None:
    wide, tall = np.full((100, 1000, 3), 90, np.uint8), np.full((300, 200, 3), 90, np.uint8)
    stacked = drawn(match_picture(scored(None), shown(wide), shown(wide), NONE, 0.95))
    assert (stacked[30, 20:1080] == 90).all()
    beside = drawn(match_picture(scored(None), shown(tall), shown(tall), NONE, 0.95))
    assert (beside[200, [280, 820]] == 90).all()


def test_a_transform_that_leads_beside_the_other_picture_is_drawn_as_none() -> None:
    away = [[1.0, 0.0, 5.0], [0.0, 1.0, 0.0]]
    sheet = drawn(match_picture(scored(away), shown(PHOTO), shown(PHOTO), NONE, 0.95))[:400]
    assert not is_colour(sheet, FOR).any()


# --- words ------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(exclude_categories=()), max_size=60), st.integers(40, 400))
def test_any_name_can_be_written_in_any_width(name: str, width_px: int) -> None:
    letters = font(15)
    text = shortened(drawable(name, letters), letters, width_px)
    assert letters.getlength(text) <= width_px
    assert drawable(text, letters) == text or not text.isascii()


def test_letters_that_a_font_lacks_are_shown_as_escapes() -> None:
    letters = ImageFont.load_default(15)
    assert drawable("cup \u5199\u771f", letters) == "cup \\u5199\\u771f"
    assert drawable("x\udcff\n", letters) == "x\\xff\\n"


# --- files ------------------------------------------------------------------------------------------------


def test_the_suffix_chooses_the_format(tmp_path: Path) -> None:
    pair = compare(PHOTO, PHOTO[:, ::-1], cache=None)
    for name, format in (("why.png", "PNG"), ("why.JPG", "JPEG"), ("why.jpeg", "JPEG")):
        pair.to_picture(tmp_path / name)
        assert Image.open(tmp_path / name).format == format
    for name in ("why.gif", "why", ".png"):
        with pytest.raises(UsageError, match=r"must end in \.png or \.jpg or \.jpeg"):
            pair.to_picture(tmp_path / name)


def test_a_place_that_can_not_be_written_is_an_error_with_its_name(tmp_path: Path) -> None:
    pair = compare(PHOTO, PHOTO[:, ::-1], cache=None)
    (tmp_path / "folder.png").mkdir()
    for place in (tmp_path / "folder.png", tmp_path / "missing" / "why.png"):
        with pytest.raises(CvsimError, match=f"{place.name}: cannot be written"):
            pair.to_picture(place)


def test_a_file_that_is_gone_by_then_is_an_error_with_its_name(tmp_path: Path) -> None:
    file = tmp_path / "photo.png"
    Image.fromarray(PHOTO).save(file)
    pair = compare(file, PHOTO, cache=None)
    file.unlink()
    with pytest.raises(CvsimError, match=r"photo\.png: gone"):
        pair.to_picture(tmp_path / "why.png")
