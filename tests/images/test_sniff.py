from __future__ import annotations

import io
import os

import numpy as np
import pytest
from hypothesis import given, strategies as st
from PIL import Image

from cvsim.images.formats import FORMAT_TABLE
from cvsim.images.header import peek_size
from cvsim.images.sniff import HEAD_BYTES, is_risky, sniff

FORMATS = {
    "jpeg": "JPEG",
    "png": "PNG",
    "gif": "GIF",
    "bmp": "BMP",
    "tiff": "TIFF",
    "webp": "WEBP",
    "avif": "AVIF",
    "jpeg2000": "JPEG2000",
    "pnm": "PPM",
    "ico": "ICO",
}


def encoded(
    pillow_format: str, size: tuple[int, int] = (48, 32), mode: str = "RGB", **options: object
) -> bytes:
    rows = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(rows).convert(mode).save(stream, pillow_format, **options)
    return stream.getvalue()


@pytest.mark.parametrize(("format", "pillow_format"), FORMATS.items())
def test_every_format_is_known_by_its_first_bytes(format: str, pillow_format: str) -> None:
    assert sniff(encoded(pillow_format)[:HEAD_BYTES], name="liar.txt") == format


def test_heic_and_bare_jpeg2000() -> None:
    assert sniff(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic") == "heic"
    assert sniff(b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf") == "avif"
    assert sniff(b"\0\0\0\x18ftypisom\0\0\0\0isommp41") is None
    assert sniff(encoded("JPEG2000", no_jp2=True)) == "jpeg2000"


def test_tga_needs_the_hint_and_a_plausible_header() -> None:
    tga = encoded("TGA")
    assert sniff(tga, name="a.TGA") == "tga"
    assert sniff(tga, name="a.dat") is None
    assert sniff(b"nothing like a picture at all", name="a.tga") is None


@pytest.mark.parametrize(
    "head", [b"", b"\xff", b"P", b"BM", b"RIFF", b"%PDF-1.7", b"PK\3\4", b"P6x", b"<svg>"]
)
def test_everything_else_is_none(head: bytes) -> None:
    assert sniff(head, name="a.jpg") is None


@given(st.binary(max_size=200), st.sampled_from(["", "a.tga"]))
def test_any_bytes_are_survived(head: bytes, name: str) -> None:
    format = sniff(head, name=name)
    if format is not None:
        peek_size(head, format)
        assert FORMAT_TABLE[format].memory_bytes(head) >= 0
        assert is_risky(format) == (format != "jpeg")


@pytest.mark.parametrize(
    ("format", "options"),
    [
        ("png", {}),
        ("gif", {}),
        ("bmp", {}),
        ("tiff", {}),
        ("webp", {}),
        ("webp", {"lossless": True}),
        ("webp", {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0"}),
        ("avif", {}),
        ("jpeg2000", {}),
        ("tga", {}),
    ],
)
def test_peek_size_reads_what_the_decoder_finds(format: str, options: dict[str, object]) -> None:
    data = encoded(FORMATS.get(format, format.upper()), (50, 34), **options)
    assert peek_size(data, format) == (50, 34)
    assert FORMAT_TABLE[format].memory_bytes(data) >= 50 * 34 * 4
    assert peek_size(data[:9], format) is None


@pytest.mark.parametrize("format", ["png", "bmp", "tiff", "webp", "gif", "tga", "avif", "jpeg2000"])
def test_headers_of_noise_are_survived(format: str) -> None:
    for n_bytes in range(60):
        peek_size(os.urandom(n_bytes), format)
