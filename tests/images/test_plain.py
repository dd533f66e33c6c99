"""OpenCV decodes a PNG or WebP in Pillow's place only where nothing can come out differently."""

from __future__ import annotations

import io
import random
import struct
import zlib

import cv2
import numpy as np
import pytest
from generate import scene
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from cvsim.images import pillow
from cvsim.images.decode import decode
from cvsim.images.plain import plain_pixels

PICTURE = cv2.GaussianBlur(scene(3, 160, 120), (0, 0), 1.5)
HEADER_BYTES = 33


def encoded(format: str, picture: Image.Image | None = None, **options: object) -> bytes:
    stream = io.BytesIO()
    (picture or Image.fromarray(PICTURE)).save(stream, format, **options)
    return stream.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def with_chunks(png: bytes, *chunks: bytes) -> bytes:
    return png[:HEADER_BYTES] + b"".join(chunks) + png[HEADER_BYTES:]


def by_opencv(data: bytes, format: str) -> np.ndarray | None:
    return plain_pixels(data, pillow.open_picture(data, format))


def by_pillow(data: bytes, format: str) -> tuple[np.ndarray, bool]:
    rgb, _, damaged = pillow.read_pixels(pillow.open_picture(data, format), 1 << 30)
    return rgb, damaged


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


PLAIN = {
    "png": encoded("PNG"),
    "png gray": encoded("PNG", Image.fromarray(PICTURE).convert("L")),
    "png stored": encoded("PNG", compress_level=0),
    "png with text": encoded("PNG", pnginfo=PngInfo(), dpi=(72, 72)),
    "png turned": encoded("PNG", exif=turned()),
    "png of many parts": cv2.imencode(".png", cv2.resize(PICTURE, None, fx=4, fy=4)[..., ::-1])[1].tobytes(),
    "webp": encoded("WEBP", quality=60),
    "webp lossless": encoded("WEBP", lossless=True),
    "webp turned": encoded("WEBP", exif=turned()),
}
ODD = {
    "palette": encoded("PNG", Image.fromarray(PICTURE).convert("P")),
    "one bit": encoded("PNG", Image.fromarray(PICTURE).convert("1")),
    "alpha": encoded("PNG", Image.fromarray(PICTURE).convert("RGBA")),
    "one colour is transparent": encoded("PNG", transparency=(255, 255, 255)),
    "16 bits": cv2.imencode(".png", PICTURE.astype(np.uint16) * 257)[1].tobytes(),
    "animated": encoded("PNG", save_all=True, append_images=[Image.fromarray(PICTURE[::-1])]),
    "EXIF after the pixels": encoded("PNG")[:-12]
    + chunk(b"eXIf", turned().tobytes()[6:])
    + encoded("PNG")[-12:],
    "webp alpha": encoded("WEBP", Image.fromarray(np.dstack([PICTURE, PICTURE[..., 0]]))),
    "webp animated": encoded("WEBP", save_all=True, append_images=[Image.fromarray(PICTURE[::-1])]),
    "gif": encoded("GIF"),
    "bmp": encoded("BMP"),
}


@pytest.mark.parametrize("name", PLAIN)
def test_plain_pictures_have_the_same_pixels(name: str) -> None:
    data, format = PLAIN[name], name.split()[0]
    pixels = by_opencv(data, format)
    expected, damaged = by_pillow(data, format)
    assert not damaged
    assert pixels is not None
    assert (pixels == expected).all()


@pytest.mark.parametrize("name", ODD)
def test_all_others_are_left_to_pillow(name: str) -> None:
    data = ODD[name]
    format = name if name in ("gif", "bmp") else "webp" if name.startswith("webp") else "png"
    assert by_opencv(data, format) is None


@pytest.mark.parametrize("data", [PLAIN["png turned"], PLAIN["webp turned"], ODD["EXIF after the pixels"]])
def test_the_orientation_is_applied_once(data: bytes) -> None:
    decoded = decode(data, longest_px=1000)
    assert (decoded.width_px, decoded.height_px) == (120, 160)
    assert np.abs(decoded.rgb.astype(int) - np.rot90(PICTURE, -1)).mean() < 4


def test_a_png_whose_rows_end_early_is_left_to_pillow() -> None:
    rows = zlib.compress(b"".join(b"\0" + row.tobytes() for row in PICTURE[:60]))
    header = struct.pack(">IIBBBBB", 160, 120, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    assert by_opencv(data, "png") is None
    assert (decode(data, longest_px=1000).rgb[:60] == PICTURE[:60]).all()


@pytest.mark.parametrize("name", ["png", "png gray", "webp", "webp lossless"])
def test_what_is_corrupt_is_what_pillow_says(name: str) -> None:
    chance = random.Random(name)
    data, format = PLAIN[name], name.split()[0]
    for _ in range(150):
        corrupt = bytearray(data)
        at, n_bytes = chance.randrange(HEADER_BYTES, len(data)), chance.choice((1, 8, 200))
        change = chance.choice(("cut", "flip", "noise", "blank", "repeat"))
        if change == "cut":
            del corrupt[at:]
        elif change == "flip":
            corrupt[at] ^= 1 << chance.randrange(8)
        elif change == "repeat":
            corrupt[at:at] = corrupt[at - 20 : at]
        else:
            part = corrupt[at : at + n_bytes]
            corrupt[at : at + n_bytes] = (
                bytes(len(part)) if change == "blank" else chance.randbytes(len(part))
            )
        try:
            pixels = by_opencv(bytes(corrupt), format)
        except Exception:
            continue  # Pillow refuses the header
        if pixels is not None:
            expected, damaged = by_pillow(bytes(corrupt), format)
            assert not damaged
            assert (pixels == expected).all()


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    png, webp = PLAIN["png"], PLAIN["webp"]
    odd_chunks = [
        chunk(b"iCCP", b"a\0\0nonsense"),
        chunk(b"tIME", b"\0" * 3),
        chunk(b"gAMA", b"\0\0\0\x01") * 2,
    ]
    for data in (with_chunks(png, *odd_chunks), png[:-2000], png[:-12], png[:-20] + b"\0\0\0\0" + png[-16:]):
        decode(data, longest_px=1000)
    by_opencv(with_chunks(png, *odd_chunks), "png")
    noisy = webp[:100] + bytes(200) + webp[300:]
    by_opencv(noisy, "webp")
    assert capfd.readouterr() == ("", "")
