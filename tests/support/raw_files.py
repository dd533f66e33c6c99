"""Camera raw files (DNG) as a camera would make them, from any picture: a mosaic, and previews."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping

from generate import RGB
from PIL import Image

XYZ_TO_SRGB = (3.2406, -1.5372, -0.4986, -0.9689, 1.8758, 0.0415, 0.0557, -0.2040, 1.0570)
"""The matrix of a camera whose colours are those of sRGB."""
BYTE, ASCII, SHORT, LONG, RATIONAL, SRATIONAL = 1, 2, 3, 4, 5, 10
_LAYOUTS = {BYTE: "B", ASCII: "B", SHORT: "H", LONG: "I", RATIONAL: "I", SRATIONAL: "i"}
Fields = dict[int, tuple[int, list[int]]]


def dng(
    rgb: RGB,
    *,
    preview_px: int | tuple[int, ...] | None = None,
    orientation: int = 1,
    date: str = "2024:05:06 07:08:09",
    is_pruned: bool = False,
) -> bytes:
    """A DNG of 16 bits; with `preview_px` also JPEG previews whose longer sides are these.

    `orientation` is how the camera was held; the picture is stored as it is given. Of a pruned one there are
    the fields of a lossless JPEG and no pixels, as in test files that are cut down to what is said of them.
    """
    height, width = rgb.shape[:2]
    main: Fields = {
        254: (LONG, [0]), 256: (LONG, [width]), 257: (LONG, [height]), 258: (SHORT, [16]), 259: (SHORT, [1]),
        262: (SHORT, [32803]), 271: (ASCII, _text("Maker")), 272: (ASCII, _text("Maker Model 1")),
        274: (SHORT, [orientation]), 277: (SHORT, [1]), 278: (LONG, [height]), 306: (ASCII, _text(date)),
        33421: (SHORT, [2, 2]), 33422: (BYTE, [0, 1, 1, 2]), 50706: (BYTE, [1, 4, 0, 0]),
        50708: (ASCII, _text("Maker Model 1")), 50714: (SHORT, [0]), 50717: (LONG, [65535]),
        50721: (SRATIONAL, [n for value in XYZ_TO_SRGB for n in (round(value * 10000), 10000)]),
        50728: (RATIONAL, [1, 1] * 3), 50778: (SHORT, [21]),
    }  # fmt: skip
    if is_pruned:
        main[259] = (SHORT, [7])
    parts = [(main, bytes(22) if is_pruned else _mosaic(rgb))]
    for longer_px in (preview_px,) if isinstance(preview_px, int) else preview_px or ():
        scale = longer_px / max(width, height)
        small = Image.fromarray(rgb).resize((round(width * scale), round(height * scale)))
        stream = io.BytesIO()
        small.save(stream, "JPEG", quality=90)
        preview: Fields = {
            254: (LONG, [1]), 256: (LONG, [small.width]), 257: (LONG, [small.height]),
            258: (SHORT, [8, 8, 8]), 259: (SHORT, [7]), 262: (SHORT, [6]), 277: (SHORT, [3]),
            278: (LONG, [small.height]),
        }  # fmt: skip
        parts.append((preview, stream.getvalue()))
    return _tiff(parts)


def _text(text: str) -> list[int]:
    return [*text.encode(), 0]


def _mosaic(rgb: RGB) -> bytes:
    linear = (rgb / 255.0) ** 2.2 * 65535
    plane = linear[..., 1].copy()
    plane[0::2, 0::2] = linear[0::2, 0::2, 0]
    plane[1::2, 1::2] = linear[1::2, 1::2, 2]
    return plane.astype("<u2").tobytes()


def _tiff(parts: list[tuple[Fields, bytes]]) -> bytes:
    """The first directory and its strip; those that follow are its sub-directories."""
    data = bytearray(b"II*\0\0\0\0\0")
    offsets = []
    for fields, strip in reversed(parts):
        at = len(data)
        data += strip + b"\0" * (len(strip) % 2)
        fields = {**fields, 273: (LONG, [at]), 279: (LONG, [len(strip)])}
        if len(offsets) == len(parts) - 1 and offsets:
            fields[330] = (LONG, offsets)
        offsets.append(_directory(data, fields))
    struct.pack_into("<I", data, 4, offsets[-1])
    return bytes(data)


def _directory(data: bytearray, fields: Mapping[int, tuple[int, list[int]]]) -> int:
    entries = b""
    for tag, (kind, numbers) in sorted(fields.items()):
        value = struct.pack(f"<{len(numbers)}{_LAYOUTS[kind]}", *numbers)
        count = len(numbers) // 2 if kind in (RATIONAL, SRATIONAL) else len(numbers)
        if len(value) > 4:
            at = len(data)
            data += value + b"\0" * (len(value) % 2)
            value = struct.pack("<I", at)
        entries += struct.pack("<HHI", tag, kind, count) + value.ljust(4, b"\0")
    at = len(data)
    data += struct.pack("<H", len(fields)) + entries + b"\0\0\0\0"
    return at
