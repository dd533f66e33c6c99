"""(width, height) as the header of each format claims, in pixels as stored; None where it does not say.

The functions take the beginning of a file and may raise `struct.error` or `IndexError` where it is cut short.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from cvsim.errors import DecodeError
from cvsim.images.exif import read_tiff_size
from cvsim.images.jpeg import read_jpeg_header
from cvsim.images.tiff import SUB_IFDS, Tiff

Size = tuple[int, int]
_WIDTH, _HEIGHT = 0x0100, 0x0101
_MOST_DIRECTORIES = 32
_JXL_RATIOS = (None, (1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
"""Width to height, by the code of the size header (ISO/IEC 18181-1, annex D)."""
_JXL_LENGTHS = (9, 13, 18, 30)


def png_size(data: bytes) -> Size | None:
    """Of the first chunk."""
    return _pair(data, ">II", 16)


def gif_size(data: bytes) -> Size | None:
    """Of the screen that the frames are drawn on."""
    return _pair(data, "<HH", 6)


def tga_size(data: bytes) -> Size | None:
    """Of the fixed header."""
    return _pair(data, "<HH", 12)


def bmp_size(data: bytes) -> Size | None:
    """Of either kind of header; a negative height means rows from the top."""
    width, height = _pair(data, "<HH" if data[14] == 12 else "<ii", 18)
    return width, abs(height)


def tiff_size(data: bytes) -> Size | None:
    """Of the first directory."""
    return read_tiff_size(data)


def jpeg_size(data: bytes) -> Size | None:
    """Of the frame header."""
    try:
        header = read_jpeg_header(data)
    except DecodeError:
        return None
    return header.width_px, header.height_px


def webp_size(data: bytes) -> Size | None:
    """Of the canvas, or of the one frame."""
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


def heif_size(data: bytes) -> Size | None:
    """The largest "image spatial extents" property: tiles and thumbnails have their own."""
    sizes = [_pair(data, ">II", at + 8) for at in _positions(data, b"ispe")]
    return max(sizes, key=lambda size: size[0] * size[1], default=None)


def jpeg2000_size(data: bytes) -> Size | None:
    """Of the codestream."""
    at = data.find(b"\xff\x4f\xff\x51")
    return None if at < 0 else _pair(data, ">II", at + 8)


def jxl_size(data: bytes) -> Size | None:
    """Of the codestream, which may be boxed, and may be cut into parts."""
    bits = _jxl_codestream(data)
    return None if bits is None else _jxl_dimensions(bits)


@dataclass(frozen=True, slots=True)
class JxlMetadata:
    """What the beginning of a JPEG XL codestream says.

    Attributes
    ----------
    bits : int
        A sample; 32 for floats.
    n_extra_channels : int
        Transparency and others.
    is_animated : bool
    has_usual_colors : bool
        sRGB.
    color_bits : bytes
        What follows, where colours are described.
    """

    bits: int = 8
    n_extra_channels: int = 0
    is_animated: bool = False
    has_usual_colors: bool = True
    color_bits: bytes = b""


def jxl_metadata(data: bytes) -> JxlMetadata | None:
    """The metadata of a JPEG XL picture; None where they are not read."""
    bits = _jxl_codestream(data)
    try:
        return None if bits is None else _jxl_metadata(bits)
    except IndexError:
        return None


def _jxl_metadata(bits: _Bits) -> JxlMetadata | None:
    _jxl_dimensions(bits)
    if bits.take(1):
        return JxlMetadata()
    if bits.take(1):
        bits.take(3)  # its orientation, which the decoder applies
        if bits.take(1):
            _jxl_dimensions(bits)  # how large it is meant to be shown
        if bits.take(1) or bits.take(1):  # a preview, or frames
            return JxlMetadata(is_animated=True, has_usual_colors=False)
    if bits.take(1):
        depth = 32
        bits.take((0, 0, 0, 6)[bits.take(2)])
        bits.take(4)
    else:
        choice = bits.take(2)
        depth = (8, 10, 12)[choice] if choice < 3 else 1 + bits.take(6)
    bits.take(1)
    choice = bits.take(2)
    n_extra = choice if choice < 2 else (2 + bits.take(4) if choice == 2 else 1 + bits.take(12))
    is_usual = False
    if not n_extra:
        bits.take(1)
        is_usual = bool(bits.take(1))
    return JxlMetadata(depth, n_extra, False, is_usual, bits.rest(4))


def _jxl_codestream(data: bytes) -> _Bits | None:
    """What follows the signature of the codestream."""
    start = 2
    if data[:2] != b"\xff\x0a":
        whole, part = data.find(b"jxlc"), data.find(b"jxlp")
        at = whole + 4 if whole >= 0 else part + 8
        if at < 8 or data[at : at + 2] != b"\xff\x0a":
            return None
        start = at + 2
    return _Bits(bytes(data[start : start + 48]))


def _jxl_dimensions(bits: _Bits) -> Size:
    in_eights = bits.take(1)
    height = 8 * (bits.take(5) + 1) if in_eights else 1 + bits.take(_JXL_LENGTHS[bits.take(2)])
    ratio = _JXL_RATIOS[bits.take(3)]
    if ratio is not None:
        return height * ratio[0] // ratio[1], height
    return 8 * (bits.take(5) + 1) if in_eights else 1 + bits.take(_JXL_LENGTHS[bits.take(2)]), height


def raw_size(data: bytes) -> Size | None:
    """The largest picture of a raw file that is built like a TIFF: the sensor's."""
    magic = data[:4]
    if magic in (b"IIRO", b"IIRS", b"IIU\0"):
        data = b"II*\0" + data[4:]  # Olympus and Panasonic have a number of their own there
    elif magic == b"MMOR":
        data = b"MM\0*" + data[4:]
    tiff = Tiff.of(data)
    if tiff is None:
        return None
    sizes = []
    for directory in tiff.chain(tiff.first_offset, _MOST_DIRECTORIES):
        subs = (tiff.directory(at) for at in tiff.numbers(directory, SUB_IFDS, _MOST_DIRECTORIES))
        for one in (directory, *subs):
            width, height = tiff.number(one, _WIDTH), tiff.number(one, _HEIGHT)
            if width and height:
                sizes.append((width, height))
    return max(sizes, key=lambda size: size[0] * size[1], default=None)


def no_size(data: bytes) -> Size | None:
    """Of formats whose size is nowhere near their beginning."""
    return None


class _Bits:
    """Reads bits, the lowest of each byte first."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data, "little"), 8 * len(data)

    def take(self, n: int) -> int:
        if n > self._left:
            raise IndexError
        found = self._value & ((1 << n) - 1)
        self._value, self._left = self._value >> n, self._left - n
        return found

    def rest(self, n_bytes: int) -> bytes:
        """The next whole bytes, without taking them."""
        return (self._value & ((1 << 8 * n_bytes) - 1)).to_bytes(n_bytes, "little")


def _pair(data: bytes, layout: str, offset: int) -> Size:
    first, second = struct.unpack_from(layout, data, offset)
    return first, second


def _positions(data: bytes, needle: bytes) -> list[int]:
    positions: list[int] = []
    at = data.find(needle)
    while at >= 0 and len(positions) < 1000:
        positions.append(at)
        at = data.find(needle, at + 4)
    return positions
