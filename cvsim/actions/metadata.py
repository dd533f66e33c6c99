"""Carrying the date and the position of a picture over to the kept one, which has none.

Only the EXIF block of the kept file is added or grows; every other byte of the file, its picture data
above all, stays as it is. An EXIF block that exists is never rearranged: maker notes hold offsets into
it. New directories are appended at its end and the two pointers to them are changed, which leaves every
old value where it was (TIFF 6.0, section 2; Exif 2.32, sections 4.5 and 4.6).
"""

from __future__ import annotations

import hashlib
import io
import re
import struct
import warnings
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

from PIL import Image

from cvsim.actions.filesystem import RefusedError
from cvsim.images import jpeg
from cvsim.images.decode import pixel_digest
from cvsim.images.jpeg import EXIF_PREFIX
from cvsim.images.tiff import (
    ASCII,
    DATE_TIME,
    EXIF_IFD,
    GPS_IFD,
    LONG,
    PER_VALUE,
    UNIT_BYTES,
    Directory,
    Tiff,
)

_DATE_ORIGINAL, _OFFSET_ORIGINAL = 0x9003, 0x9011
_DATE_TAGS = (_DATE_ORIGINAL, 0x9004, 0x9010, _OFFSET_ORIGINAL, 0x9012, 0x9290, 0x9291, 0x9292)
_RATIONAL = 5
_ROW_BYTES = 12
_JPEG_LIMIT_BYTES = 65535 - 2 - len(EXIF_PREFIX)
_APP0 = 0xE0
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class Value:
    """One TIFF field; `data` is big-endian."""

    tag: int
    type: int
    count: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Capture:
    """When and where a picture was taken, as EXIF fields.

    Attributes
    ----------
    main, exif, gps : tuple of Value
        Fields of the main, the Exif and the GPS directory.
    """

    main: tuple[Value, ...] = ()
    exif: tuple[Value, ...] = ()
    gps: tuple[Value, ...] = ()

    @property
    def has_date(self) -> bool:
        """Tell whether a date was recorded."""
        return bool(self.main or self.exif)

    @property
    def has_position(self) -> bool:
        """Tell whether a position was recorded."""
        return bool(self.gps)

    def lacking_in(self, other: Capture) -> Capture:
        """What this one has and the other has not."""
        date = () if other.has_date else self.main, () if other.has_date else self.exif
        return Capture(*date, () if other.has_position else self.gps)

    def __bool__(self) -> bool:
        return self.has_date or self.has_position


@dataclass(frozen=True, slots=True)
class Splice:
    """A change of a file: at `offset`, `removed` gives way to `inserted`."""

    offset: int
    removed: bytes
    inserted: bytes

    def apply(self, data: bytes) -> bytes:
        """Put the new bytes where the old ones are."""
        end = self.offset + len(self.removed)
        if data[self.offset : end] != self.removed:
            raise RefusedError("its metadata is not what the journal says; left alone")
        return data[: self.offset] + self.inserted + data[end:]

    def reversed(self) -> Splice:
        """Give the edit that takes this one back."""
        return Splice(self.offset, self.inserted, self.removed)


def read_capture(data: bytes) -> Capture:
    """Date and position of a picture, from EXIF, else from XMP; empty if there is neither."""
    exif, xmp = _blocks(data)
    capture = _from_exif(exif)
    from_xmp = _from_xmp(xmp).lacking_in(capture)
    return Capture(capture.main, capture.exif + from_xmp.exif, capture.gps or from_xmp.gps)


def add_capture(data: bytes, capture: Capture) -> Splice:
    """The change that puts `capture` into a JPEG or PNG file.

    Raises
    ------
    RefusedError
        Another format, a block that would grow too large, or a result that shows other pixels.
    """
    if data[:2] == b"\xff\xd8":
        splice = _splice_jpeg(data, capture)
    elif data[:8] == _PNG:
        splice = _splice_png(data, capture)
    else:
        raise RefusedError("date and position can be carried over to JPEG and PNG files only")
    after = splice.apply(data)
    if pixel_digest(after) != pixel_digest(data) or capture.lacking_in(read_capture(after)):
        raise RefusedError("the kept file's metadata is in no order that could be added to safely")
    return splice


def sha256(data: bytes) -> str:
    """Hash data as files are hashed, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def _blocks(data: bytes) -> tuple[bytes, bytes]:
    """The raw EXIF (from its TIFF header on) and XMP of a file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data)) as picture:
                info = picture.info
                exif = info.get("exif") or (data if picture.format == "TIFF" else b"")
                xmp = info.get("xmp") or info.get("XML:com.adobe.xmp") or b""
    except Exception:  # A decoder meets anything in real files; no metadata is the answer then.
        return b"", b""
    return exif.removeprefix(EXIF_PREFIX), xmp.encode() if isinstance(xmp, str) else xmp


# ---- TIFF structure ----


def _directory(tiff: Tiff, offset: int | None) -> Directory:
    """What can be carried over whole, or nothing."""
    found = tiff.directory(offset)
    return found if found.is_whole else Directory({})


def _rows(tiff: Tiff, directory: Directory) -> dict[int, bytes]:
    """The raw entries of a directory, by tag."""
    return {tag: tiff.data[place : place + _ROW_BYTES] for tag, place in directory.entries.items()}


def _values(tiff: Tiff, directory: Directory, tags: Iterable[int] | None) -> tuple[Value, ...]:
    """The fields with these tags (None: all), where they are well-formed."""
    found = []
    for tag in sorted(directory.entries):
        field = tiff.field(directory, tag)
        if field is None or (tags is not None and tag not in tags):
            continue
        kind, count, start = field
        unit = UNIT_BYTES[kind]
        data = tiff.data[start : start + unit * PER_VALUE.get(kind, 1) * count]
        found.append(Value(tag, kind, count, data if tiff.order == ">" else _swap(data, unit)))
    return tuple(found)


def _swap(data: bytes, unit: int) -> bytes:
    return b"".join(data[start : start + unit][::-1] for start in range(0, len(data), unit))


def _from_exif(block: bytes) -> Capture:
    tiff = Tiff.of(block)
    if tiff is None or tiff.is_big:
        return Capture()
    main = _directory(tiff, tiff.first_offset)
    exif = _directory(tiff, tiff.number(main, EXIF_IFD))
    gps = _directory(tiff, tiff.number(main, GPS_IFD))
    dates = _values(tiff, exif, _DATE_TAGS)
    if not any(value.tag == _DATE_ORIGINAL and _is_date(value) for value in dates):
        dates = ()
    plain = tuple(value for value in _values(tiff, main, (DATE_TIME,)) if _is_date(value))
    has_position = 2 in gps.entries and 4 in gps.entries
    return Capture(() if dates else plain, dates, _values(tiff, gps, None) if has_position else ())


def _is_date(value: Value) -> bool:
    return re.match(rb"[1-9]\d{3}:\d\d:\d\d \d\d:\d\d:\d\d", value.data) is not None


def _grown(old: bytes, capture: Capture) -> bytes:
    """An EXIF block with the fields of `capture` added; old values keep their offsets."""
    tiff = Tiff.of(old)
    if tiff is None or tiff.is_big:
        tiff = Tiff(b"MM\0*\0\0\0\0", ">")
    main = _directory(tiff, tiff.first_offset)
    block = bytearray(tiff.data + b"\0" * (len(tiff.data) % 2))
    added = list(capture.main)
    for pointer, values in ((EXIF_IFD, capture.exif), (GPS_IFD, capture.gps)):
        if values:
            offset = _append(block, tiff, _directory(tiff, tiff.number(main, pointer)), values)
            added.append(Value(pointer, LONG, 1, struct.pack(">I", offset)))
    offset = _append(block, tiff, main, added)
    struct.pack_into(f"{tiff.order}I", block, 4, offset)
    return bytes(block)


def _append(block: bytearray, tiff: Tiff, old: Directory, values: Iterable[Value]) -> int:
    """Append a directory of the old raw entries and the new values; returns its offset."""
    rows, order = _rows(tiff, old), tiff.order
    for value in values:
        data = value.data if order == ">" else _swap(value.data, UNIT_BYTES[value.type])
        if len(data) > 4:
            place = struct.pack(f"{order}I", len(block))
            block += data + b"\0" * (len(data) % 2)
        else:
            place = data.ljust(4, b"\0")
        rows[value.tag] = struct.pack(f"{order}HHI", value.tag, value.type, value.count) + place
    offset = len(block)
    block += struct.pack(f"{order}H", len(rows)) + b"".join(rows[tag] for tag in sorted(rows))
    block += struct.pack(f"{order}I", old.next)
    return offset


# ---- XMP ----

_XMP_DATE = re.compile(
    rb"(?:exif:DateTimeOriginal|photoshop:DateCreated|xmp:CreateDate)(?:=[\"']|>)"
    rb"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)(?::(\d\d))?(?:\.\d+)?([+-]\d\d:\d\d|Z)?"
)
_XMP_POSITION = re.compile(
    rb"exif:GPS(Latitude|Longitude)(?:=[\"']|>)(\d{1,3}),(\d{1,2}(?:\.\d+)?)(?:,(\d{1,2}))?([NSEW])"
)


def _from_xmp(xmp: bytes) -> Capture:
    exif: list[Value] = []
    if date := _XMP_DATE.search(xmp):
        year, month, day, hour, minute, second, zone = (
            part.decode() if part else "" for part in date.groups()
        )
        exif.append(_text(_DATE_ORIGINAL, f"{year}:{month}:{day} {hour}:{minute}:{second or '00'}"))
        if zone:
            exif.append(_text(_OFFSET_ORIGINAL, "+00:00" if zone == "Z" else zone))
    gps: list[Value] = []
    for name, degrees, minutes, seconds, side in _XMP_POSITION.findall(xmp):
        tag = 2 if name == b"Latitude" else 4
        numbers = (int(degrees), 1, round(float(minutes) * 10**6), 10**6, int(seconds or 0), 1)
        gps += [_text(tag - 1, side.decode()), Value(tag, _RATIONAL, 3, struct.pack(">6I", *numbers))]
    complete = {value.tag for value in gps} >= {2, 4}
    return Capture((), tuple(exif), tuple({value.tag: value for value in gps}.values()) if complete else ())


def _text(tag: int, text: str) -> Value:
    return Value(tag, ASCII, len(text) + 1, text.encode() + b"\0")


# ---- Containers ----


def _splice_jpeg(data: bytes, capture: Capture) -> Splice:
    place, old = 2, b""
    for marker, start, body, end in jpeg.segments(data):
        if marker == _APP0 and start == 2:
            place = end  # JFIF wants to be first
        if marker == jpeg.APP1 and data[body : body + len(EXIF_PREFIX)] == EXIF_PREFIX:
            place, old = start, data[start:end]
            break
    tiff = _grown(old[4 + len(EXIF_PREFIX) :], capture)
    if len(tiff) > _JPEG_LIMIT_BYTES:
        raise RefusedError("the kept file's metadata would grow larger than a JPEG file can hold")
    content = EXIF_PREFIX + tiff
    return Splice(place, old, b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content)


def _splice_png(data: bytes, capture: Capture) -> Splice:
    place, old = 0, b""
    position = len(_PNG)
    while position + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        kind = data[position + 4 : position + 8]
        if kind == b"eXIf":
            place, old = position, data[position : position + 12 + length]
            break
        if kind == b"IDAT" and not place:
            place = position
        position += 12 + length
    body = b"eXIf" + _grown(old[8:-4], capture)
    return Splice(place, old, struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body)))
