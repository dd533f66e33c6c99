"""What PNG, GIF, WebP, BMP, ICO and JPEG 2000 files hold: formats of blocks that follow each other."""

from __future__ import annotations

import struct
import zlib

from cvsim.images.coded import png_chunks, webp_chunks
from cvsim.images.holdings.found import (
    FURTHER,
    LEAST_PRIVATE_BYTES,
    LEAST_TEXT_BYTES,
    MOST_ITEMS,
    OTHER,
    TEXT,
    Found,
)
from cvsim.images.iso_media import boxes, find_box

_MOST_PROFILE_BYTES = 4 << 20
_PNG_KNOWN = frozenset(
    b"IHDR PLTE IDAT IEND tRNS cHRM gAMA iCCP sBIT sRGB cICP mDCV mDCv cLLI cLLi tEXt zTXt iTXt bKGD hIST "
    b"pHYs sPLT eXIf tIME acTL fcTL fdAT iDOT oFFs pCAL sCAL gIFg gIFt "
    b"gIFx sTER dSIG vpAg orNT npTc CgBI".split()
)
_PNG_PALETTE = 3
_XMP_KEY = b"XML:com.adobe.xmp\0"
_RAW_PROFILE = b"Raw profile type "
_GAMMA_OF_SRGB = range(44_000, 47_001)  # 1 / 2.2, in units of 1 / 100,000


def read_png(data: bytes) -> Found:
    """What a PNG or APNG holds, from its chunks."""
    found = Found()
    reader = _Png(found)
    end = 8
    for kind, start, stop, following in png_chunks(data):
        end = following
        reader.take(kind, b"" if kind in (b"IDAT", b"fdAT") else data[start:stop])
    reader.finish()
    found.add_rest(data[end:])
    return found


class _Png:
    """Takes the chunks of a PNG as they come."""

    def __init__(self, found: Found) -> None:
        self._found = found
        self._gamma = 0
        self._says_srgb = self._is_animated = self._has_data = self._animates_data = False
        self._n_frames, self._delay_s = 0, 0.0
        self._texts: list[bytes] = []
        self._private: list[bytes] = []

    def take(self, kind: bytes, body: bytes) -> None:
        found = self._found
        if kind == b"IHDR" and len(body) >= 13:
            found.bits = body[8] if body[9] != _PNG_PALETTE else 8
            found.may_have_alpha = body[9] in (4, 6)
        elif kind == b"tRNS":
            found.may_have_alpha = True
        elif kind == b"IDAT":
            self._has_data = True
        elif kind == b"eXIf":
            found.exif = body
        elif kind == b"acTL":
            self._is_animated = True
        elif kind == b"fcTL" and len(body) >= 26:
            self._take_frame(body)
        elif kind in (b"tEXt", b"zTXt", b"iTXt"):
            if not body.startswith((_XMP_KEY, _RAW_PROFILE)):
                self._texts.append(body)
        elif kind not in _PNG_KNOWN:
            self._private.append(body)
        else:
            self._take_color(kind, body)

    def _take_frame(self, body: bytes) -> None:
        self._n_frames += 1
        self._animates_data |= not self._has_data
        top, bottom = struct.unpack_from(">HH", body, 20)
        self._delay_s += top / (bottom or 100)

    def _take_color(self, kind: bytes, body: bytes) -> None:
        if kind == b"iCCP":
            self._found.profile = _inflated(body.partition(b"\0")[2][1:])
        elif kind == b"cICP" and len(body) >= 2 and (body[0], body[1]) not in ((1, 13), (1, 1)):
            self._found.color = f"primaries {body[0]}, transfer {body[1]}"
        elif kind == b"sRGB":
            self._says_srgb = True
        elif kind == b"gAMA" and len(body) == 4:
            self._gamma = int.from_bytes(body, "big")

    def finish(self) -> None:
        found, gamma = self._found, self._gamma
        if self._is_animated and self._n_frames:
            found.frames, found.frames_s = self._n_frames, self._delay_s
            found.pictures += not self._animates_data  # the still that others show instead
        if gamma and gamma not in _GAMMA_OF_SRGB and not (self._says_srgb or found.profile or found.color):
            found.color = f"gamma {100_000 / gamma:.2g}"
        _add_if_long(found, TEXT, self._texts, LEAST_TEXT_BYTES)
        _add_if_long(found, OTHER, self._private, LEAST_PRIVATE_BYTES)


def _inflated(data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, _MOST_PROFILE_BYTES)
    except zlib.error:
        return b""


def _add_if_long(found: Found, name: str, pieces: list[bytes], least: int) -> None:
    if sum(map(len, pieces)) >= least:
        for piece in pieces:
            found.add(name, piece)


def read_gif(data: bytes) -> Found:
    """What a GIF holds, from its blocks."""
    found = Found()
    n_frames, delay_s, position = 0, 0.0, 13
    comments: list[bytes] = []
    if len(data) > 10 and data[10] & 0x80:
        position += 3 << (data[10] & 7) + 1
    while position < len(data) and data[position] in (0x21, 0x2C):
        is_picture = data[position] == 0x2C
        start = position + (10 if is_picture else 2)
        if is_picture:
            n_frames += 1
            packed = data[position + 9] if position + 9 < len(data) else 0
            start += (3 << (packed & 7) + 1 if packed & 0x80 else 0) + 1
        elif data[position + 1 : position + 2] == b"\xf9" and start + 4 < len(data):
            delay_s += int.from_bytes(data[start + 2 : start + 4], "little") / 100
            found.may_have_alpha |= bool(data[start + 1] & 1)
        end = _after_sub_blocks(data, start)
        if data[position : position + 2] == b"\x21\xfe":
            comments.append(data[start:end])
        elif data[position : position + 2] == b"\x21\xff" and data[start + 1 : start + 12] == b"ICCRGBG1012":
            found.profile = _joined_sub_blocks(data, start + 12)
        position = end
    found.frames = max(1, n_frames)
    found.frames_s = delay_s if n_frames > 1 else 0.0
    _add_if_long(found, TEXT, comments, LEAST_TEXT_BYTES)
    found.add_rest(data[position + 1 :])
    return found


def _after_sub_blocks(data: bytes, position: int) -> int:
    while position < len(data) and data[position]:
        position += 1 + data[position]
    return position + 1


def _joined_sub_blocks(data: bytes, position: int) -> bytes:
    pieces: list[bytes] = []
    while position < len(data) and data[position] and len(pieces) < MOST_ITEMS:
        pieces.append(data[position + 1 : position + 1 + data[position]])
        position += 1 + data[position]
    return b"".join(pieces)


def read_webp(data: bytes) -> Found:
    """What a WebP holds, from its chunks."""
    found = Found()
    n_frames, delay_ms = 0, 0
    end = min(8 + int.from_bytes(data[4:8], "little"), len(data))
    private: list[bytes] = []
    for kind, body, stop, _ in webp_chunks(data):
        if kind == b"ANMF":
            n_frames += 1
            delay_ms += int.from_bytes(data[body + 12 : body + 15], "little")
        elif kind == b"VP8X" and body < len(data):
            found.may_have_alpha |= bool(data[body] & 0x10)
        elif kind == b"VP8L" and body + 5 <= len(data):
            found.may_have_alpha |= bool(data[body + 4] & 0x10)
        elif kind == b"EXIF":
            found.exif = data[body:stop]
        elif kind == b"ICCP":
            found.profile = data[body:stop]
        elif kind not in (b"VP8 ", b"ALPH", b"ANIM", b"XMP "):
            private.append(data[body:stop])
    if n_frames > 1:
        found.frames, found.frames_s = n_frames, delay_ms / 1000
    _add_if_long(found, OTHER, private, LEAST_PRIVATE_BYTES)
    found.add_rest(data[end + end % 2 :])
    return found


def read_bmp(data: bytes) -> Found:
    """What a BMP holds, from its header."""
    found = Found()
    if len(data) < 54:
        return found
    size, offset, head = (int.from_bytes(data[at : at + 4], "little") for at in (2, 10, 14))
    width, height = struct.unpack_from("<ii", data, 18) if head > 12 else struct.unpack_from("<HH", data, 18)
    depth = int.from_bytes(data[28:30] if head > 12 else data[24:26], "little")
    found.may_have_alpha = depth == 32
    coded = int.from_bytes(data[34:38], "little") if head > 12 else 0
    end = max(
        size, offset + max(coded, (abs(width) * depth + 31) // 32 * 4 * abs(height) if not coded else 0)
    )
    if head >= 124 and data[70:74] == b"DEBM":  # an embedded profile, its bytes the other way round
        at, length = (int.from_bytes(data[14 + place : 18 + place], "little") for place in (112, 116))
        found.profile = data[14 + at : 14 + at + length]
        end = max(end, 14 + at + length)
    found.add_rest(data[end:])
    return found


def read_ico(data: bytes) -> Found:
    """What an icon holds: one picture, usually, in several sizes."""
    found = Found(may_have_alpha=True)
    count = min(int.from_bytes(data[4:6], "little"), MOST_ITEMS, (len(data) - 6) // 16)
    places = [struct.unpack_from("<II", data, 6 + 16 * k + 8) for k in range(count)]
    found.pictures = max(1, len(set(places)))
    for size, offset in sorted(set(places))[:-1]:  # all but the one that is shown
        found.add(FURTHER, data[offset : offset + size])
    found.add_rest(data[max((offset + size for size, offset in places), default=len(data)) :])
    return found


def read_jpeg2000(data: bytes) -> Found:
    """What a JPEG 2000 file holds, from its boxes, if it has any, and its header."""
    found = Found()
    at = data.find(b"\xff\x4f\xff\x51")
    if at >= 0 and at + 43 <= len(data):
        n_components = int.from_bytes(data[at + 40 : at + 42], "big")
        found.bits = (data[at + 42] & 0x7F) + 1
        found.may_have_alpha = n_components in (2, 4)
    if data[4:8] != b"jP  ":
        return found
    end = 0
    for box in boxes(data):
        end = box.end
    color = find_box(data, (b"jp2h", b"colr"))
    if color is not None and data[color.body : color.body + 1] in (b"\2", b"\3"):
        found.profile = data[color.body + 3 : color.end]
    found.add_rest(data[end:])
    return found


def read_pnm(data: bytes) -> Found:
    """What a PNM holds: its depth, and further pictures or anything else behind the first."""
    found = Found()
    fields: list[bytes] = []
    position, wanted = 2, 2 if data[1:2] in b"14" else 3
    while len(fields) < wanted and position < min(len(data), 1 << 16):
        if data[position : position + 1] == b"#":
            line = data.find(b"\n", position)
            position = len(data) if line < 0 else line + 1
        elif data[position : position + 1].isspace():
            position += 1
        else:
            start = position
            while (
                position < len(data) and not data[position : position + 1].isspace() and position - start < 20
            ):
                position += 1
            fields.append(data[start:position])
    if len(fields) < wanted or not all(value.isdigit() for value in fields):
        return found
    width, height, *rest = map(int, fields)
    most = rest[0] if rest else 1
    found.bits = 16 if most > 255 else 8
    if data[1:2] in b"456":
        samples = {b"4": (width + 7) // 8, b"5": width, b"6": 3 * width}[bytes(data[1:2])]
        found.add_rest(data[position + 1 + samples * height * (2 if most > 255 else 1) :])
    return found
