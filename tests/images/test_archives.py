"""Pictures in zip archives: found, never touched; what an archive says of itself is not trusted."""

from __future__ import annotations

import io
import os
import shutil
import struct
import zipfile
from pathlib import Path

import pytest
from generate import altered, save_image, scene
from PIL import Image

import cvsim
from cvsim.errors import ImageError, TooLargeError
from cvsim.images import archives
from cvsim.images.encoded import read_content
from cvsim.images.scan import scan


def zipped(path: Path, files: dict[str, bytes], **options: int) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data, **options)
    return path


def jpeg(seed: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(scene(seed, 320, 240)).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def test_pictures_in_archives_are_reported_and_neither_kept_nor_proposed(tmp_path: Path) -> None:
    folder, cache = tmp_path / "photos", tmp_path / "cache.db"
    photo = save_image(folder / "a-half.jpg", altered(scene(1, 320, 240), "half", 1))
    shutil.copy(photo, folder / "b.jpg")
    files = {"scans/1.jpg": jpeg(1), "scans/2.jpg": jpeg(2), "notes.txt": b"no picture", "odd.jpg": b"text"}
    zipped(folder / "old.zip", files)
    zipped(folder / "other.CBZ", {"2.jpg": jpeg(2), "copy.jpg": photo.read_bytes()})
    report = cvsim.dedupe(folder, cache=cache, workers=2)
    found = [
        {os.path.relpath(m.record.path, folder): m.proposed for m in group.members} for group in report.groups
    ]
    assert found == [
        {"a-half.jpg": False, "b.jpg": True, "old.zip/scans/1.jpg": False, "other.CBZ/copy.jpg": False},
        {"old.zip/scans/2.jpg": False, "other.CBZ/2.jpg": False},
    ]
    assert report.groups[0].keep == str(photo)  # though the archive has a larger one
    reasons = {m.reason for group in report.groups for m in group.members[1:] if not m.proposed}
    assert reasons == {f"left alone: {archives.IN_ARCHIVE}"}
    assert [(Path(item.path).name, item.reason) for item in report.skipped] == [("odd.jpg", "not an image")]
    assert sorted(entry.path for entry in report.plan().entries) == [str(photo), str(folder / "b.jpg")]
    assert report.to_html().count("data:image/jpeg") >= 6
    assert cvsim.dedupe(folder, cache=cache).result.stats["n_decoded"] == 0


def test_filters_hold_in_archives_too(tmp_path: Path) -> None:
    zipped(tmp_path / "a.zip", {"x.jpg": jpeg(1), "y.png": b"\x89PNG", "deep/z.jpg": b"12"})
    zipped(tmp_path / "none.zip", {"readme.txt": b"nothing to see"})

    def names(**options: object) -> list[str]:
        return [os.path.relpath(entry.path, tmp_path) for entry in scan([tmp_path], **options).files]  # type: ignore[arg-type]

    assert names() == ["a.zip/deep/z.jpg", "a.zip/x.jpg", "a.zip/y.png", "none.zip"]
    assert names(include_ext=["jpg"], min_size_bytes=100) == ["a.zip/x.jpg"]
    assert names(exclude=["deep", "*.png", "a.zip/deep/*"]) == ["a.zip/x.jpg", "none.zip"]
    assert names(exclude=["*.zip"]) == []


def test_hostile_archives_are_skipped_with_their_reasons(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("../up.jpg", "/root.jpg", "a/../b.jpg", "C:/x.jpg", "a//b.jpg", "./c.jpg", "..\\w.jpg")
    zipped(tmp_path / "paths.zip", {name: jpeg(1) for name in names})
    zipped(tmp_path / "locked.zip", {"secret.jpg": jpeg(1)})
    data = bytearray((tmp_path / "locked.zip").read_bytes())
    for magic, flags in ((b"PK\1\2", 8), (b"PK\3\4", 6)):
        struct.pack_into("<H", data, data.find(magic) + flags, 1)
    (tmp_path / "locked.zip").write_bytes(data)
    zipped(tmp_path / "cut.zip", {"x.jpg": jpeg(1)})
    (tmp_path / "cut.zip").write_bytes((tmp_path / "cut.zip").read_bytes()[:3000])
    zipped(tmp_path / "rotten.zip", {"x.jpg": jpeg(2)})
    data = bytearray((tmp_path / "rotten.zip").read_bytes())
    data[200:1200] = bytes(1000)
    (tmp_path / "rotten.zip").write_bytes(data)
    monkeypatch.setattr(archives, "_LEAST_BOMB_BYTES", 1 << 20)
    zipped(tmp_path / "bomb.zip", {f"{k}.bmp": bytes(1 << 21) for k in range(4)})
    monkeypatch.setattr(archives, "MOST_BYTES", 1 << 16)
    zipped(tmp_path / "large.zip", {"large.jpg": os.urandom(1 << 17)})
    report = cvsim.dedupe(tmp_path, cache=None, workers=1)
    reasons = {os.path.relpath(item.path, tmp_path): item.reason for item in report.skipped}
    told = {key.split("/")[0].split(os.sep)[0]: reason for key, reason in reasons.items()}
    assert told["locked.zip"] == "encrypted in its archive"
    assert told["cut.zip"] == "a damaged archive, or none"
    assert told["rotten.zip"] == "damaged in its archive"
    assert "a zip bomb" in told["bomb.zip"]
    assert told["large.zip"] == "0 MB are over the limit of 0 MB for a picture in an archive"
    outside = [item for item in report.skipped if item.reason == "its name leads out of its archive"]
    assert len(outside) == len(names)
    assert report.counts.images == 0


def test_what_an_archive_claims_of_its_sizes_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = zipped(tmp_path / "liar.zip", {"x.jpg": jpeg(1)})
    data = bytearray(path.read_bytes())
    for magic, at in ((b"PK\1\2", 24), (b"PK\3\4", 22)):
        struct.pack_into("<I", data, data.find(magic) + at, 100)
    path.write_bytes(data)
    with pytest.raises(ImageError, match="damaged in its archive"):
        read_content(f"{path}/x.jpg")
    with pytest.raises(ImageError, match="not in its archive"):
        read_content(f"{path}/gone.jpg")
    monkeypatch.setattr(archives, "MOST_MEMBERS", 1)
    with pytest.raises(TooLargeError, match="more than the limit of 1"):
        archives.picture_members(str(zipped(tmp_path / "many.zip", {"a.jpg": b"1", "b.jpg": b"2"})))
