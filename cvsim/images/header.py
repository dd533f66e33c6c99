"""How large a picture claims to be, without giving its bytes to a decoder."""

from __future__ import annotations

import struct

from cvsim.errors import DecodeError
from cvsim.images.exif import read_tiff_size
from cvsim.images.jpeg import read_jpeg_header
from cvsim.images.sniff import HEAD_BYTES, sniff

# Memory the decoders were seen to take at 12 megapixels, in bytes a pixel: Pillow's raster is 4, the
# rest is their own (planes of 32 bits, frames, copies between the two).
_BYTES_PER_PIXEL = {"avif": 10, "heic": 8, "jpeg2000": 20, "webp": 17}
_USUAL_BYTES_PER_PIXEL = 5

# The second is for what stands before the size in some files: previews, colour profiles, maker's notes.
_HEADERS_BYTES = (1 << 16, 1 << 20)


def decoder_bytes(data: bytes, format: str) -> int:
    """About how much memory decoding anything but a JPEG takes, in bytes; 0 if that is not known.

    Parameters
    ----------
    data : bytes
        The file, or its beginning.
    format : str
        What `sniff` said.
    """
    size = peek_size(data, format)
    if size is None:
        return 0
    return size[0] * size[1] * _BYTES_PER_PIXEL.get(format, _USUAL_BYTES_PER_PIXEL)


def claimed_pixels(path: str) -> int | None:
    """How many pixels a file's header says that its picture has; None where it does not say."""
    try:
        with open(path, "rb") as stream:
            for n_bytes in _HEADERS_BYTES:
                stream.seek(0)
                data = stream.read(n_bytes)
                size = _claimed_size(data, sniff(data[:HEAD_BYTES], name=path))
                if size is not None or len(data) < n_bytes:
                    break
    except OSError:
        return None
    return None if size is None else size[0] * size[1]


def _claimed_size(data: bytes, format: str | None) -> tuple[int, int] | None:
    if format != "jpeg":
        return None if format is None else peek_size(data, format)
    try:
        header = read_jpeg_header(data)
    except DecodeError:
        return None
    return header.width_px, header.height_px


def peek_size(data: bytes, format: str) -> tuple[int, int] | None:
    """(width, height) as the header of anything but a JPEG claims, or None."""
    try:
        return _peek_size(data, format)
    except (struct.error, IndexError):  # the header is cut short
        return None


def _peek_size(data: bytes, format: str) -> tuple[int, int] | None:
    if format == "png":
        return _pair(data, ">II", 16)
    if format == "gif":
        return _pair(data, "<HH", 6)
    if format == "tga":
        return _pair(data, "<HH", 12)
    if format == "bmp":
        is_old = data[14] == 12
        width, height = _pair(data, "<HH" if is_old else "<ii", 18)
        return width, abs(height)
    if format == "tiff":
        return read_tiff_size(data)
    if format == "webp":
        return _peek_webp(data)
    if format in ("avif", "heic"):
        # The largest "image spatial extents" property: tiles and thumbnails have their own.
        sizes = [_pair(data, ">II", at + 8) for at in _positions(data, b"ispe")]
        return max(sizes, key=lambda size: size[0] * size[1], default=None)
    if format == "jpeg2000":
        at = data.find(b"\xff\x4f\xff\x51")
        return None if at < 0 else _pair(data, ">II", at + 8)
    return None


def _peek_webp(data: bytes) -> tuple[int, int] | None:
    kind = data[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        width, height = _pair(data, "<HH", 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


def _pair(data: bytes, layout: str, offset: int) -> tuple[int, int]:
    first, second = struct.unpack_from(layout, data, offset)
    return first, second


def _positions(data: bytes, needle: bytes) -> list[int]:
    positions: list[int] = []
    at = data.find(needle)
    while at >= 0 and len(positions) < 1000:
        positions.append(at)
        at = data.find(needle, at + 4)
    return positions
