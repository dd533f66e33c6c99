"""The table of formats, and the decoders that extras bring: camera RAW and JPEG XL."""

from __future__ import annotations

import io
import json
import os
import shutil
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from generate import altered, save_image, scene
from kinds_of_files import film
from PIL import Image
from raw_files import dng

import cvsim
from cvsim.cli.group import cvsim as program
from cvsim.errors import DecodeError, ImageError, NotAnImageError
from cvsim.executors.allowance import VARIABLE, allowed_bytes
from cvsim.images.decode import decode, decode_full
from cvsim.images.encoded import read_content
from cvsim.images.formats import FORMAT_TABLE
from cvsim.images.holdings import read_holdings
from cvsim.images.sniff import sniff

pytest.importorskip("rawpy")
pytest.importorskip("pillow_jxl")
RGB = scene(3, 320, 240)


def jxl(image: Image.Image, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JXL", **options)
    return stream.getvalue()


def difference(found: np.ndarray, expected: Image.Image) -> float:
    small = expected.resize((found.shape[1], found.shape[0]), Image.Resampling.BOX)
    return float(np.abs(found.astype(int) - np.asarray(small, int)).mean())


def test_each_format_is_whole_and_is_printed() -> None:
    endings = [ending for entry in FORMAT_TABLE.values() for ending in entry.endings]
    assert len(endings) == len(set(endings))
    printed = CliRunner().invoke(program, ["info"]).output
    for name, entry in FORMAT_TABLE.items():
        assert entry.bytes_per_pixel >= 4
        assert f"{name}: {entry.endings[0]}" in printed
        assert entry.memory_bytes(b"") >= 0
    assert "GB for one picture at most (--picture-memory)" in printed


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize(("preview_px", "least_px"), [(None, 160), (100, 160), (200, 200)])
def test_a_raw_file_shows_its_preview_if_that_is_large(
    orientation: int, preview_px: int | None, least_px: int
) -> None:
    data = dng(RGB, preview_px=preview_px, orientation=orientation)
    assert sniff(data, name="IMG_1.DNG") == "raw"
    assert FORMAT_TABLE["raw"].claimed_size(data) == (320, 240)
    expected = Image.fromarray(RGB)
    if orientation == 6:
        expected = expected.rotate(-90, expand=True)
    for named in ("raw", None):
        found = decode(data, longest_px=512, format=named)
        assert (found.width_px, found.height_px) == expected.size
        assert (max(found.rgb.shape[:2]), found.format) == (least_px, "raw")
        assert found.taken_at == "2024-05-06T07:08:09"
        assert difference(found.rgb, expected) < 20
    with pytest.raises(DecodeError, match="before it is developed"):
        decode_full(data, format="raw")


def test_raw_files_are_found_and_never_proposed(tmp_path: Path) -> None:
    jpeg = save_image(tmp_path / "elsewhere" / "a.jpg", RGB)
    for name, preview_px in (("IMG_1.dng", 200), ("IMG_2.DNG", None)):
        (tmp_path / name).write_bytes(dng(RGB, preview_px=preview_px))
    shutil.copy(tmp_path / "IMG_1.dng", tmp_path / "copy of IMG_1.dng")
    (tmp_path / "cut.dng").write_bytes(dng(RGB)[:5000])
    report = cvsim.dedupe(tmp_path, cache=None, workers=2)
    (group,) = report.groups
    members = {os.path.basename(member.record.path): member for member in group.members}
    assert members.keys() == {"IMG_1.dng", "IMG_2.DNG", "copy of IMG_1.dng", jpeg.name}
    assert {name for name, member in members.items() if member.proposed} == {"copy of IMG_1.dng"}
    ((skipped,)) = report.skipped
    assert skipped.path.endswith("cut.dng")
    assert "camera RAW" in skipped.reason


def test_a_raw_file_of_several_pictures_shows_the_largest_preview_and_nothing_of_it_is_lost(
    tmp_path: Path,
) -> None:
    data = dng(RGB, preview_px=(80, 240, 120))
    assert FORMAT_TABLE["raw"].claimed_size(data) == (320, 240)
    found = decode(data, longest_px=512, format="raw")
    assert max(found.rgb.shape[:2]) == 240
    assert difference(found.rgb, Image.fromarray(RGB)) < 20
    (tmp_path / "several.dng").write_bytes(data)
    (tmp_path / "one.dng").write_bytes(dng(RGB, preview_px=240))
    (group,) = cvsim.dedupe(tmp_path, cache=None, workers=1).groups
    assert not any(member.proposed for member in group.members)  # each has a sensor's data of its own


def test_nothing_is_proved_beside_a_raw_file_and_the_reason_is_said(tmp_path: Path) -> None:
    """Of a deep picture each pixel is asked for, which a RAW cannot show."""
    (tmp_path / "IMG_1.dng").write_bytes(dng(RGB, preview_px=320))
    cv2.imwrite(str(tmp_path / "deep.png"), RGB[..., ::-1].astype(np.uint16) * 257)
    (group,) = cvsim.dedupe(tmp_path, cache=None, workers=1).groups
    reasons = {Path(m.record.path).name: m.reason for m in group.members}
    assert Path(group.keep).name == "IMG_1.dng"
    assert "no pixels of its own before it is developed" in reasons["deep.png"]


def test_what_is_wrong_with_a_raw_file_is_said(tmp_path: Path) -> None:
    crw = b"II\x1a\0\0\0HEAPCCDR\2\0\1\0" + bytes(100)
    assert sniff(crw, name="unnamed") == "raw"
    cut = bytearray(dng(RGB))
    at = cut.find(struct.pack("<HHI", 273, 4, 1)) + 8  # where the pixels begin: now just before the end
    struct.pack_into("<I", cut, at, len(cut) - 100)
    for name, data, reason in (
        ("a.crw", crw, "camera RAW: "),
        ("cut.dng", bytes(cut), "truncated camera RAW"),
        ("pruned.dng", dng(RGB, is_pruned=True), "truncated camera RAW: it has no room"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(DecodeError, match=reason):
            read_content(str(tmp_path / name)).decode(longest_px=64)


def test_a_raw_file_whose_preview_alone_is_left_is_damaged(tmp_path: Path) -> None:
    whole = dng(RGB, preview_px=200)
    cut = bytearray(whole)
    at = cut.rfind(struct.pack("<HHI", 273, 4, 1)) + 8  # where the sensor's data begin
    struct.pack_into("<I", cut, at, len(cut) - 100)
    (tmp_path / "a cut.dng").write_bytes(cut)
    (tmp_path / "whole.dng").write_bytes(whole)
    report = cvsim.dedupe(tmp_path, cache=None)
    if report.skipped:  # by an older LibRaw, which shows no preview of it
        assert [Path(one.path).name for one in report.skipped] == ["a cut.dng"]
        return
    (group,) = report.groups
    damaged = {Path(m.record.path).name: m.record.damaged for m in group.members}
    assert damaged == {"a cut.dng": True, "whole.dng": False}
    assert Path(group.keep).name == "whole.dng"


def test_more_pixels_than_the_limit_are_not_called_a_matter_of_memory(tmp_path: Path) -> None:
    png = io.BytesIO()
    Image.new("L", (16, 16)).save(png, "PNG")
    head = b"IHDR" + (2_000_000).to_bytes(4, "big") * 2 + png.getvalue()[24:29]
    wide = png.getvalue()[:12] + head + zlib.crc32(head).to_bytes(4, "big") + png.getvalue()[33:]
    (tmp_path / "wide.png").write_bytes(wide)
    (skipped,) = cvsim.dedupe(tmp_path / "wide.png", cache=None).skipped
    assert "more than the limit of 250 megapixels" in skipped.reason


def test_a_raw_and_the_jpeg_beside_it_are_one(tmp_path: Path) -> None:
    for folder in ("card", "backup"):
        save_image(tmp_path / folder / "IMG_1.JPG", RGB, quality=95)
        (tmp_path / folder / "IMG_1.DNG").write_bytes(dng(RGB, preview_px=200))
    save_image(tmp_path / "card" / "IMG_2.JPG", altered(RGB, "half", 0))
    (tmp_path / "card" / "IMG_2.xmp").write_text("<x:xmpmeta/>")
    report = cvsim.dedupe(tmp_path, cache=None, workers=1)
    (group,) = report.groups
    assert [os.path.relpath(m.record.path, tmp_path) for m in group.members] == [
        "card/IMG_1.JPG",
        "backup/IMG_1.JPG",
        "card/IMG_2.JPG",
    ]
    assert {item.kind for item in report.skipped} == {"raw-half", "not-an-image"}
    assert not any(item.is_worth_naming for item in report.skipped)
    report.to_plan(tmp_path / "plan.json")
    outcome = cvsim.apply(tmp_path / "plan.json", action="delete", journal=tmp_path / "journal.jsonl")
    assert outcome is not None
    left = {os.path.relpath(path, tmp_path) for path in tmp_path.rglob("IMG_*")}
    assert {"card/IMG_1.JPG", "card/IMG_1.DNG"} <= left
    assert ("backup/IMG_1.JPG" in left) == (
        "backup/IMG_1.DNG" in left
    )  # both copies are gone, or both are there


def test_of_equal_files_the_one_with_its_raw_and_sidecar_is_kept_and_they_are_named(tmp_path: Path) -> None:
    card, backup = tmp_path / "photos" / "card", tmp_path / "photos" / "backup"
    photo = save_image(card / "IMG_1.JPG", RGB)
    (card / "IMG_1.DNG").write_bytes(dng(RGB, preview_px=200))
    (card / "IMG_1.xmp").write_text("<x:xmpmeta/>")
    backup.mkdir()
    shutil.copy2(photo, backup)  # first by its path
    report = cvsim.dedupe(tmp_path / "photos", cache=None, workers=1)
    (group,) = report.groups
    assert (group.keep, group.rule) == (str(photo), "companions")
    assert [(m.companions, m.proposed) for m in group.members] == [
        (("IMG_1.DNG", "IMG_1.xmp"), False),
        ((), True),
    ]
    assert json.loads(report.to_json())["groups"][0]["members"][0]["companions"] == ["IMG_1.DNG", "IMG_1.xmp"]
    assert "beside it IMG_1.DNG, IMG_1.xmp" in report.to_html()
    kept = next(entry for entry in report.plan().entries if entry.decision == "keep")
    assert {"beside it IMG_1.DNG", "beside it IMG_1.xmp"} <= set(kept.extra["holds"])
    asked = ["dedupe", str(tmp_path / "photos"), "--no-cache"]
    printed = CliRunner().invoke(program, asked, env={"COLUMNS": "200"}).output
    assert "beside it IMG_1.DNG" in printed
    assert "its RAW or its sidecars" in printed
    assert cvsim.dedupe(tmp_path / "photos", cache=None, keep="path").groups[0].keep == str(
        backup / "IMG_1.JPG"
    )


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "I;16"])
def test_jpeg_xl_is_read_in_each_mode(mode: str) -> None:
    gray16 = Image.fromarray(RGB[..., 1].astype(np.uint16) * 257)
    image = gray16 if mode == "I;16" else Image.fromarray(RGB).convert(mode)
    data = jxl(image, lossless=True)
    assert FORMAT_TABLE["jxl"].claimed_size(data[:1000]) == (320, 240)
    found = decode(data, longest_px=512)
    expected = Image.fromarray(np.repeat(RGB[..., 1:2], 3, 2)) if mode == "I;16" else image.convert("RGB")
    assert difference(found.rgb, expected) < 1
    holdings, may_have_alpha = read_holdings(data, "jxl")
    assert holdings.bits == (16 if mode == "I;16" else 8)
    assert may_have_alpha == (mode == "RGBA")
    for n_bytes in (2, 20, len(data) // 2):
        with pytest.raises(ImageError):
            decode(data[:n_bytes], longest_px=64, format="jxl")


def test_a_jpeg_packed_into_jpeg_xl_is_turned_once(tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(RGB).save(tmp_path / "turned.jpg", quality=90, exif=turned)
    found = decode(jxl(Image.open(tmp_path / "turned.jpg"), lossless_jpeg=True), longest_px=512)
    assert (found.width_px, found.height_px) == (240, 320)
    assert difference(found.rgb, Image.fromarray(RGB).rotate(-90, expand=True)) < 6


def test_a_jpeg_xl_copy_of_a_jpeg_can_go(tmp_path: Path) -> None:
    save_image(tmp_path / "a.png", RGB)
    (tmp_path / "small.jxl").write_bytes(jxl(Image.fromarray(altered(RGB, "half", 0)), quality=90))
    report = cvsim.dedupe(tmp_path, cache=None, workers=1)
    (group,) = report.groups
    assert [(m.record.format, m.proposed) for m in group.members] == [("png", False), ("jxl", True)]


def test_films_are_skipped_for_what_they_are(tmp_path: Path) -> None:
    films = {
        "a.mp4": film(),
        "b.mkv": b"\x1a\x45\xdf\xa3" + bytes(99),
        "c.avi": b"RIFF\0\0\0\0AVI " + bytes(9),
    }
    for name, data in films.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(NotAnImageError, match="a video, not an image"):
            read_content(str(tmp_path / name))
    report = cvsim.dedupe(tmp_path, cache=None)
    assert {item.reason for item in report.skipped} == {"a video, not an image"}
    assert not any(item.is_worth_naming for item in report.skipped)


def test_what_is_not_allowed_is_refused_with_the_option_and_not_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (6000, 4000), "teal").save(tmp_path / "large.png")
    cache = tmp_path / "cache.db"
    monkeypatch.setenv(VARIABLE, "50M")
    assert allowed_bytes() == 50_000_000
    (skipped,) = cvsim.dedupe(tmp_path, include_ext="png", cache=cache).skipped
    assert skipped.reason == (
        "it needs about 0.2 GB of memory, and one picture may take 0.1 GB here; --picture-memory 1G allows it"
    )
    command = [
        "dedupe",
        str(tmp_path),
        "--include-ext",
        "png",
        "--cache",
        str(cache),
        "--picture-memory",
        "1G",
    ]
    result = CliRunner().invoke(program, command)
    assert "Looked at 1 picture." in result.output
