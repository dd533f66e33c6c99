"""What EXIF says, for a person."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

from cvsim.images.exif_table import exif_table


def saved(path: Path) -> Path:
    exif = Image.Exif()
    exif[ExifTags.Base.Model] = "Box\x1b[2J"
    exif.get_ifd(ExifTags.IFD.Exif).update(
        {
            ExifTags.Base.DateTimeOriginal: "2024:05:06 07:08:09",
            ExifTags.Base.ExposureTime: IFDRational(1, 250),
            ExifTags.Base.UserComment: b"\0\x01\x02binary",
            ExifTags.Base.ImageUniqueID: "x" * 1000,
        }
    )
    exif.get_ifd(ExifTags.IFD.GPSInfo).update({1: "S", 2: (33.0, 51.0, 36.0), 3: "E", 4: (151.0, 12.0, 0.0)})
    Image.new("RGB", (32, 32)).save(path, exif=exif.tobytes())
    return path


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tiff", "a.webp", "a.avif", "a.heic"])
def test_date_and_place_come_first_and_long_values_are_cut(tmp_path: Path, name: str) -> None:
    if name.endswith(".heic"):
        pytest.importorskip("pillow_heif", reason="pip install 'cvsim[heif]'").register_heif_opener()
    table = exif_table(str(saved(tmp_path / name)))
    assert "ImageWidth" not in table, "how the pixels lie is nothing that a person asks for"
    assert list(table)[:2] == ["DateTimeOriginal", "Place"]
    assert table["DateTimeOriginal"] == "2024:05:06 07:08:09"
    assert table["Place"] == "-33.86000, 151.20000"
    assert table["ExposureTime"] == "1/250"
    assert table["UserComment"] == "9 bytes"
    assert len(table["ImageUniqueID"]) == 201


def test_what_can_not_be_read_is_empty(tmp_path: Path) -> None:
    assert exif_table(str(tmp_path / "gone.jpg")) == {}
    whole = saved(tmp_path / "a.jpg").read_bytes()
    for length in range(0, 400, 23):
        (tmp_path / "cut.jpg").write_bytes(whole[:length])
        assert isinstance(exif_table(str(tmp_path / "cut.jpg")), dict)
    for name in ("a.jpg", "a.tiff", "a.webp", "a.avif"):
        whole = saved(tmp_path / name).read_bytes()
        for position in range(20, 300, 7):
            (tmp_path / "changed").write_bytes(whole[:position] + b"\xff" + whole[position + 1 :])
            assert isinstance(exif_table(str(tmp_path / "changed")), dict)
