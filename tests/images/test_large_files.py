"""What is no picture is told from a few places in it, however large the file is."""

from __future__ import annotations

import io
import os
import resource
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from generate import scene
from PIL import Image

import cvsim
from cvsim.errors import ImageError
from cvsim.images import encoded
from cvsim.images.encoded import read_content
from cvsim.proof.holds import holdings_of_content
from cvsim.proof.prove import File, prove_pair

TEN_GB = 10 << 30


def png(width: int = 16, height: int = 16) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()[:16] + struct.pack(">II", width, height) + buffer.getvalue()[24:]


HEADS = {
    "zeros.jpg": (b"", "not an image"),
    "text.jpg": (b"no picture at all", "not an image"),
    "jpeg.jpg": (b"\xff\xd8\xff\xe0\0\x10JFIF\0", "over the limit"),
    "only a header.png": (png()[:33], "no pixels follow"),
    "too large.png": (png(60_000, 60_000), "more than the limit"),
    "no size.gif": (b"GIF89a", "without width or height"),
    "no size.bmp": (b"BM" + bytes(12) + b"(", "without width or height"),
    "no directory.tif": (b"II*\0", "no directory"),
    "beyond.tif": (b"II+\0\x08\0\0\0" + b"\xff" * 7 + b"\x7f", "no directory"),
}


@pytest.mark.parametrize("name", HEADS)
def test_a_hole_of_ten_gigabytes_is_refused_by_its_beginning(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head, reason = HEADS[name]
    path = tmp_path / name
    path.write_bytes(head)
    try:
        os.truncate(path, TEN_GB)
    except OSError as exc:
        pytest.skip(f"no sparse file of 10 GB can be made here: {exc}")
    monkeypatch.setattr(encoded, "_digest_of_rest", lambda *_: pytest.fail("the whole was read"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ImageError, match=reason):
        read_content(str(path))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB


WITH_LITTLE_MEMORY = """
import resource, sys
from cvsim.errors import ImageError
from cvsim.images.decode import decode
data = open(sys.argv[1], "rb").read()
decode(data, longest_px=64)  # all that is needed is there
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + (20 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    decode(data, longest_px=int(sys.argv[2]))
except ImageError as exc:
    print(type(exc).__name__, exc)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_too_little_memory_is_not_called_damage(format: str, tmp_path: Path) -> None:
    path = tmp_path / "large"
    Image.new("RGB", (4500, 4500)).save(path, format)
    command = [sys.executable, "-c", WITH_LITTLE_MEMORY, str(path), "4500"]
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(encoded.__file__).parents[2]),
        "MALLOC_TRIM_THRESHOLD_": "0",
    }
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("TooLargeError" if format != "WEBP" else "DecodeError"), done.stdout
    assert "memory" in done.stdout


@pytest.mark.parametrize("format", ["PNG", "TIFF", "BMP", "GIF", "WEBP"])
def test_large_pictures_are_read(format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoded, "CARRIED_BYTES", 100)
    path = tmp_path / f"picture.{format.lower()}"
    rgb = np.random.default_rng(1).integers(0, 256, (50, 60, 3), np.uint8)
    Image.fromarray(rgb).save(path, format, **({"lossless": True} if format == "WEBP" else {}))
    content = read_content(str(path))
    assert content.data is None
    assert content.decode(longest_px=60).rgb.shape == (50, 60, 3)


def test_a_large_tiff_is_measured_wherever_its_directory_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoded, "CARRIED_BYTES", 100)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # a setting of the calling program, not of ours
    rgb = np.random.default_rng(1).integers(0, 256, (800, 1000, 3), np.uint8)
    for compression in (None, "tiff_adobe_deflate"):
        path = tmp_path / f"{compression}.tif"
        Image.fromarray(rgb).save(path, compression=compression)
        content = read_content(str(path))
        assert content.claimed_size == (1000, 800)
        assert content.memory_bytes >= 4 * 1000 * 800
        assert content.decode(longest_px=1000).rgb.tobytes() == rgb.tobytes()


@pytest.mark.long
def test_a_webp_of_more_pixels_than_pillow_allows_is_read(tmp_path: Path) -> None:
    picture = Image.new("RGB", (16_000, 12_000), "white")
    picture.paste("navy", (1_000, 1_000, 9_000, 5_000))
    picture.save(tmp_path / "large.webp", lossless=True, quality=0, method=0)
    report = cvsim.dedupe(tmp_path, cache=None)
    assert not report.skipped
    assert report.counts.images == 1


def test_copies_of_large_files_are_proved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoded, "CARRIED_BYTES", 1000)
    rgb = scene(7, 640, 480)
    Image.fromarray(rgb).save(tmp_path / "scan.tif")
    Image.fromarray(rgb).save(tmp_path / "same.png")
    Image.fromarray(rgb).save(tmp_path / "small.webp", quality=80)
    changed = rgb.copy()
    changed[200:230, 300:340] = (250, 40, 40)
    Image.fromarray(changed).save(tmp_path / "changed.png")
    clear = np.dstack([rgb, np.full(rgb.shape[:2], 255, np.uint8)])
    clear[:60, :, 3] = 90
    Image.fromarray(clear, "RGBA").save(tmp_path / "clear.png")
    (group,) = cvsim.dedupe([tmp_path], cache=None, keep="format:tiff,resolution").groups
    states = {Path(m.record.path).name: m.proof.state for m in group.members if m.proof is not None}
    assert Path(group.keep).name == "scan.tif"
    assert states == {
        "same.png": "same-pixels",
        "small.webp": "explained",
        "changed.png": "differs",
        "clear.png": "holds-more",
    }
    assert {Path(m.record.path).name for m in group.members if m.proposed} == {"same.png", "small.webp"}


def test_a_large_file_that_changes_is_not_proved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoded, "CARRIED_BYTES", 1000)
    files = []
    for name in ("a.png", "b.tif"):
        Image.fromarray(scene(7, 320, 240)).save(tmp_path / name)
        content = read_content(str(tmp_path / name))
        files.append(File(content, holdings_of_content(content)[0]))
    assert prove_pair(*files).state == "same-pixels"
    copy = File(files[0].content, files[0].holdings)
    Image.fromarray(scene(8, 320, 240)).save(tmp_path / "a.png")
    proof = prove_pair(copy, files[1])
    assert proof.state == "not-tried"
    assert "changed" in proof.words
