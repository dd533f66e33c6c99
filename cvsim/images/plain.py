"""Plain PNG and WebP pictures by OpenCV: the pixels that Pillow gives, without its copies of them.

Pillow still reads the header, and whatever is not plain or not whole is left to it: what is damaged, and how
much of it can be shown, is decided in one place.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

    from cvsim.types import RGB

_PNG_SIGNATURE_BYTES = 8
_PNG_DEPTH_AND_COLOR = slice(24, 26)
_PLAIN_PNG = (b"\x08\x00", b"\x08\x02")  # 8 bits of grey, or of each colour


def plain_pixels(data: bytes, picture: ImageFile) -> RGB | None:
    """Decode a whole file of 8-bit grey or colour, at full size, as stored.

    Parameters
    ----------
    data : bytes
    picture : PIL.ImageFile.ImageFile
        The same file, its header read.

    Returns
    -------
    (h, w, 3) uint8, or None
        None for anything else: transparency, other depths, animations, other formats, damage of any kind.
    """
    if picture.mode not in ("L", "RGB") or "transparency" in picture.info:
        return None
    if getattr(picture, "is_animated", False):
        return None
    plain = {"PNG": _plain_png, "WEBP": _plain_webp}.get(str(picture.format))
    code = None if plain is None else plain(data)
    if code is None:
        return None
    try:
        pixels = cv2.imdecode(
            np.frombuffer(code, np.uint8), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
        )
    except (cv2.error, MemoryError):
        return None
    if pixels is None or pixels.shape[1::-1] != picture.size:
        return None
    return np.asarray(pixels, np.uint8)


def _plain_png(data: bytes) -> bytes | None:
    """What of a PNG its pixels depend on; None if the file is not plain, or its checksums are wrong.

    libpng would complain about the rest, on the user's terminal. What follows the pixels (EXIF may) is found
    by Pillow only as it decodes them.
    """
    if data[_PNG_DEPTH_AND_COLOR] not in _PLAIN_PNG:
        return None
    view = memoryview(data)
    parts = [view[:_PNG_SIGNATURE_BYTES]]
    position, kind = _PNG_SIGNATURE_BYTES, b""
    while kind != b"IEND":
        end = position + 12 + int.from_bytes(view[position : position + 4], "big")
        before, kind = kind, bytes(view[position + 4 : position + 8])
        if end > len(data) or (before == b"IDAT" and kind not in (b"IDAT", b"IEND")):
            return None
        if kind in (b"IHDR", b"IDAT", b"IEND"):
            if zlib.crc32(view[position + 4 : end - 4]) != int.from_bytes(view[end - 4 : end], "big"):
                return None
            parts.append(view[position:end])
        position = end
    return b"".join(parts)


def _plain_webp(data: bytes) -> bytes | None:
    """The file, unless its frame says another length: libwebp's two decoders may then differ."""
    return data if 8 + int.from_bytes(data[4:8], "little") == len(data) else None
