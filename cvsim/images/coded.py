"""What of a file decides about its pixels: files in which that is equal show the same, and none is decoded.

Comments, EXIF but for its orientation, texts, times, resolutions, and whatever follows the picture decide
about nothing. How a PNG's data are cut into chunks does not either.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from cvsim.images.exif import parse_exif
from cvsim.images.jpeg import JpegIdentities

_PNG_SILENT = frozenset((b"tEXt", b"zTXt", b"iTXt", b"tIME", b"pHYs", b"eXIf", b"IEND"))
"""PNG (third edition), 11.3: chunks that a decoder of pixels passes over."""
_WEBP_SILENT = frozenset((b"EXIF", b"XMP ", b"VP8X"))
_WEBP_ALPHA = 0x10
_MOVING = frozenset((b"acTL", b"ANIM", b"ANMF"))
"""Of animations the first frame alone is no answer."""


class CodedChunk(NamedTuple):
    """A part of a PNG or WebP file.

    Attributes
    ----------
    kind : bytes
        Four letters.
    start, end : int
        Of its content, which the end of the data may cut off.
    following : int
        Where the next one begins.
    """

    kind: bytes
    start: int
    end: int
    following: int


def png_chunks(data: bytes) -> Iterator[CodedChunk]:
    """The chunks of a PNG, up to ``IEND``."""
    position = 8
    while position + 12 <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        kind, start = bytes(data[position + 4 : position + 8]), position + 8
        position = min(start + length + 4, len(data))
        yield CodedChunk(kind, start, min(start + length, len(data)), position)
        if kind == b"IEND":
            return


def webp_chunks(data: bytes) -> Iterator[CodedChunk]:
    """The chunks of a WebP, up to where its first header says that it ends."""
    end = min(8 + int.from_bytes(data[4:8], "little"), len(data))
    position = 12
    while position + 8 <= end:
        start = position + 8
        length = int.from_bytes(data[position + 4 : start], "little")
        kind = bytes(data[position : position + 4])
        position = start + length + length % 2
        yield CodedChunk(kind, start, min(start + length, len(data)), position)


class CodedIdentities:
    """Digests of all that decides about the pixels of a file.

    Parameters
    ----------
    held_bytes : int
        See `JpegIdentities`.
    """

    def __init__(self, held_bytes: int = 32 << 20) -> None:
        self._jpegs = JpegIdentities(held_bytes)

    def of(self, data: bytes, format: str) -> tuple[bytes, bytes] | None:
        """Digests, 32 bytes each, of a JPEG's tables (of others: empty) and of the whole code.

        Two files of one format and one second digest show the same pixels. None: nothing is known of this
        format, or of this file without decoding it.

        Raises
        ------
        DecodeError
            A JPEG makes no sense.
        """
        if format == "jpeg":
            return self._jpegs.of(data)
        code = _png_code(data) if format == "png" else _webp_code(data) if format == "webp" else None
        return None if code is None else (b"", code)


def _png_code(data: bytes) -> bytes | None:
    digest, pixels, orientation = hashlib.sha256(b"png"), hashlib.sha256(), 1
    view = memoryview(data)
    for kind, start, end, _ in png_chunks(data):
        crc = zlib.crc32(view[start - 4 : end]).to_bytes(4, "big")
        if kind in _MOVING or data[end : end + 4] != crc:  # what is damaged is decoded to see what is left
            return None
        if kind == b"IDAT":
            pixels.update(view[start:end])
        elif kind == b"eXIf":
            orientation = parse_exif(data[start:end]).orientation
        elif kind not in _PNG_SILENT:
            _add(digest, kind, data[start:end])
    _add(digest, b"IDAT", pixels.digest())
    digest.update(bytes([orientation]))
    return digest.digest()


def _webp_code(data: bytes) -> bytes | None:
    digest, orientation, is_transparent = hashlib.sha256(b"webp"), 1, False
    for kind, start, end, _ in webp_chunks(data):
        if kind in _MOVING:
            return None
        if kind == b"EXIF":
            orientation = parse_exif(data[start:end]).orientation
        elif kind == b"VP8X":
            # What it says of the size and of metadata is said again by the picture and by their chunks.
            is_transparent = start < end and bool(data[start] & _WEBP_ALPHA)
        elif kind not in _WEBP_SILENT:
            _add(digest, kind, data[start:end])
    digest.update(bytes([orientation, is_transparent]))
    return digest.digest()


def _add(digest: hashlib._Hash, kind: bytes, content: bytes) -> None:
    digest.update(kind + len(content).to_bytes(8, "big"))
    digest.update(content)
