"""`cvsim.compare` on files, arrays and Pillow images: one answer, wherever the pixels come from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from generate import RGB, altered, save_image, scene
from PIL import Image

import cvsim
from cvsim.errors import ImageError, UsageError

PHOTO = scene(3, 480, 360)
CROP = altered(PHOTO, "crop50", 3)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pictures")
    return {
        name: save_image(folder / f"{name}.png", rgb)
        for name, rgb in {"photo": PHOTO, "crop": CROP, "other": scene(4, 480, 360)}.items()
    }


def turned_by_exif(rgb: RGB, path: Path) -> Path:
    """A file whose pixels lie on their side, with the tag that sets them upright."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.ascontiguousarray(np.rot90(rgb))).save(path, exif=exif)
    return path


def test_arrays_files_and_pillow_images_give_one_answer(files: dict[str, Path]) -> None:
    expected = cvsim.compare(files["photo"], files["crop"], cache=None)
    assert (expected.relation, expected.contained) == ("cropped", "b")
    for a, b in (
        (PHOTO, CROP),
        (Image.fromarray(PHOTO), CROP),
        (files["photo"], CROP),
        (str(files["photo"]), Image.open(files["crop"])),
        (PHOTO, files["crop"].read_bytes()),
    ):
        found = cvsim.compare(a, b, cache=None)
        assert found.score == pytest.approx(expected.score, abs=1e-9)
        assert found.comparisons == expected.comparisons
        assert (found.relation, found.contained) == ("cropped", "b")


def test_the_sides_keep_their_order() -> None:
    assert cvsim.compare(CROP, PHOTO, cache=None).contained == "a"


def test_what_is_no_file_is_named_by_its_side(files: dict[str, Path]) -> None:
    assert json.loads(cvsim.compare(PHOTO, CROP, cache=None).to_json())["a"] == "a"
    mixed = json.loads(cvsim.compare(files["photo"], CROP, cache=None).to_json())
    assert (mixed["a"], mixed["b"]) == (str(files["photo"]), "b")


def test_equal_pixels_are_recognised(files: dict[str, Path]) -> None:
    for other in (PHOTO.copy(), Image.fromarray(PHOTO), files["photo"]):
        pair = cvsim.compare(PHOTO, other, cache=None)
        assert pair.relation == "identical-pixels"
        assert pair.score > 0.99


def test_pixels_that_differ_a_little_are_not_identical() -> None:
    """Also where the difference is lost in the size that features are taken at."""
    large = np.asarray(Image.fromarray(PHOTO).resize((1920, 1440)))
    changed = large.copy()
    changed[700, 900] ^= 1
    pair = cvsim.compare(large, changed, cache=None)
    assert pair.relation == "re-encoded"
    assert pair.score > 0.99


def test_an_array_need_not_be_contiguous() -> None:
    assert cvsim.compare(PHOTO, PHOTO[:, ::-1], cache=None).relation == "mirrored"


def test_the_orientation_tag_is_heeded(tmp_path: Path) -> None:
    turned = turned_by_exif(PHOTO, tmp_path / "turned.png")
    for source in (turned, Image.open(turned)):
        assert cvsim.compare(PHOTO, source, cache=None).relation == "identical-pixels"


def test_two_photographs_stay_apart(files: dict[str, Path]) -> None:
    assert cvsim.compare(PHOTO, files["other"], cache=None).score < 0.05


@pytest.mark.parametrize(
    "wrong",
    [
        PHOTO[..., 0],
        PHOTO.astype(np.float32) / 255,
        np.dstack([PHOTO, PHOTO[..., :1]]),
        np.zeros((0, 4, 3), np.uint8),
    ],
    ids=["grey", "float", "alpha", "empty"],
)
def test_the_range_of_an_array_is_not_guessed(wrong: RGB) -> None:
    with pytest.raises(UsageError, match=r"must be \(H, W, 3\) uint8 RGB"):
        cvsim.compare(PHOTO, wrong, cache=None)


def test_files_that_can_not_be_used_are_named(tmp_path: Path) -> None:
    (tmp_path / "notes.jpg").write_text("no picture")
    with pytest.raises(ImageError, match=r"notes\.jpg: not an image"):
        cvsim.compare(PHOTO, tmp_path / "notes.jpg", cache=None)
    with pytest.raises(UsageError, match="no such file"):
        cvsim.compare(PHOTO, tmp_path / "missing.jpg", cache=None)


def test_a_crop_is_called_a_part_and_not_different_everywhere(tmp_path: Path) -> None:
    photo = scene(12, 640, 480)
    save_image(tmp_path / "whole.jpg", photo)
    save_image(tmp_path / "part.jpg", altered(photo, "crop80", 12))
    pair = cvsim.compare(tmp_path / "whole.jpg", tmp_path / "part.jpg").result
    assert (pair.relation, pair.contained, pair.copy) == ("cropped", "b", "b")
    assert pair.proof is not None
    assert (pair.proof.state, pair.proof.boxes) == ("differs", ())
