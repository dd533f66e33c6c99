"""Files of equal code show the same pixels; what may change them is in the code."""

from __future__ import annotations

import io
import itertools
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from generate import scene
from hypothesis import given, settings, strategies as st
from PIL import Image, PngImagePlugin

from cvsim.images.coded import CodedIdentities, png_chunks, webp_chunks
from cvsim.images.decode import decode

PICTURE = scene(3, 96, 64)


def saved(format: str, picture: Any = PICTURE, **options: Any) -> bytes:
    stream = io.BytesIO()
    image = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
    image.save(stream, format, **options)
    return stream.getvalue()


def png(chunks: list[tuple[bytes, bytes]]) -> bytes:
    parts = [b"\x89PNG\r\n\x1a\n"]
    for kind, body in chunks:
        crc = zlib.crc32(kind + body)
        parts.append(struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc))
    return b"".join(parts)


def chunks_of(data: bytes) -> list[tuple[bytes, bytes]]:
    return [(kind, data[start:end]) for kind, start, end, _ in png_chunks(data)]


def code(data: bytes, format: str) -> bytes | None:
    found = CodedIdentities().of(data, format)
    return None if found is None else found[1]


def exif(orientation: int) -> Image.Exif:
    made = Image.Exif()
    made[0x0112] = orientation
    made[0x010E] = "a description"
    return made


TEXTS = PngImagePlugin.PngInfo()
TEXTS.add_text("Comment", "seen on a walk")


@pytest.mark.parametrize(
    ("format", "options"),
    [
        ("png", {"pnginfo": TEXTS}),
        ("png", {"dpi": (300, 300)}),
        ("png", {"exif": exif(1)}),
        ("webp", {"exif": exif(1), "lossless": True}),
        ("webp", {"xmp": b"<x/>", "lossless": True}),
        ("jpeg", {"exif": exif(1)}),
        ("jpeg", {"comment": b"seen on a walk"}),
    ],
)
def test_metadata_change_nothing(format: str, options: dict[str, Any]) -> None:
    same = {name: value for name, value in options.items() if name == "lossless"}
    plain, other = saved(format, **same), saved(format, **options)
    assert plain != other
    assert code(plain, format) == code(other, format) is not None
    assert code(other + b"what follows", format) == code(other, format)


@given(cuts=st.lists(st.integers(0, 5000), max_size=6))
@settings(max_examples=30)
def test_how_the_data_of_a_png_are_cut_changes_nothing(cuts: list[int]) -> None:
    plain = saved("png")
    pixels = b"".join(body for kind, body in chunks_of(plain) if kind == b"IDAT")
    at = sorted({0, len(pixels), *(cut for cut in cuts if cut < len(pixels))})
    pieces = [(b"IDAT", pixels[low:high]) for low, high in itertools.pairwise(at)]
    header = [chunk for chunk in chunks_of(plain) if chunk[0] == b"IHDR"]
    cut_up = png([*header, *pieces, (b"IEND", b"")])
    assert code(cut_up, "png") == code(plain, "png")
    assert (decode(cut_up, longest_px=96).rgb == decode(plain, longest_px=96).rgb).all()


def changed() -> np.ndarray:
    picture = PICTURE.copy()
    picture[10, 10, 0] ^= 1
    return picture


def transparent() -> Image.Image:
    alpha = np.full(PICTURE.shape[:2], 255, np.uint8)
    alpha[0, 0] = 0
    return Image.fromarray(np.dstack([PICTURE, alpha]))


IN_CHUNKS = chunks_of(saved("png"))
PALETTE = Image.fromarray(PICTURE).quantize(16)


@pytest.mark.parametrize(
    ("format", "one", "other"),
    [
        ("png", saved("png"), saved("png", changed())),
        ("png", saved("png"), saved("png", exif=exif(6))),
        ("png", saved("png", PALETTE), saved("png", PALETTE, transparency=3)),
        ("png", saved("png"), png([*IN_CHUNKS[:1], (b"gAMA", b"\0\1\x86\xa0"), *IN_CHUNKS[1:]])),
        ("webp", saved("webp", lossless=True), saved("webp", changed(), lossless=True)),
        ("webp", saved("webp", lossless=True), saved("webp", exif=exif(6), lossless=True)),
        ("webp", saved("webp", lossless=True), saved("webp", transparent(), lossless=True)),
        ("webp", saved("webp", quality=90), saved("webp", quality=60)),
        ("jpeg", saved("jpeg"), saved("jpeg", exif=exif(6))),
    ],
)  # fmt: skip
def test_what_may_change_pixels_is_in_the_code(format: str, one: bytes, other: bytes) -> None:
    assert code(one, format) != code(other, format)


def test_nothing_is_said_of_what_moves_is_damaged_or_is_not_known() -> None:
    frames = [Image.fromarray(PICTURE), Image.fromarray(PICTURE[::-1].copy())]
    for format in ("png", "webp"):
        moving = saved(format, frames[0], save_all=True, append_images=frames[1:])
        assert code(moving, format) is None
    broken = bytearray(saved("png"))
    broken[-30] ^= 1
    assert code(bytes(broken), "png") is None
    assert code(saved("bmp"), "bmp") is None


@given(data=st.binary(max_size=80))
@settings(max_examples=50)
def test_chunks_of_nonsense_end(data: bytes) -> None:
    for head in (b"\x89PNG\r\n\x1a\n", b"RIFF\xff\0\0\0WEBP"):
        for walk in (png_chunks, webp_chunks):
            assert all(start <= following for _, start, _, following in walk(head + data))
        CodedIdentities().of(head + data, "png")
        CodedIdentities().of(head + data, "webp")
