"""The few facts that cvsim wants from EXIF, read straight from the TIFF structure.

Pillow's reader takes about 20 times as long, and most of the photographs of a collection have EXIF.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cvsim.images.tiff import ASCII, DATE_TIME, EXIF_IFD, GPS_IFD, Directory, Tiff
from cvsim.types import Moment

_ORIENTATION = 0x0112
_DATE_TIME_ORIGINAL = 0x9003
_MAKE, _MODEL = 0x010F, 0x0110
_LONGEST_TEXT = 256
_IMAGE_WIDTH, _IMAGE_LENGTH = 0x0100, 0x0101
_GPS_LATITUDE, _GPS_LONGITUDE = 2, 4
_DATE = re.compile(rb"(\d{4}):(\d\d):(\d\d) (\d\d):(\d\d):(\d\d)")
_SUBSECONDS_ORIGINAL, _AHEAD_OF_UTC, _SERIAL_NUMBER = 0x9291, 0x9011, 0xA431
_OFFSET = re.compile(r"([+-])(\d\d):(\d\d)")


@dataclass(frozen=True, slots=True)
class Exif:
    """What a block says.

    Attributes
    ----------
    orientation : int
        1 to 8.
    taken_at : str or None
        The date, ``YYYY-MM-DDTHH:MM:SS``.
    has_gps : bool
        A position is recorded.
    block : bytes
        Itself, for `moment_of`: what few ask for is read when they do.
    """

    orientation: int = 1
    taken_at: str | None = None
    has_gps: bool = False
    block: bytes = field(default=b"", repr=False, compare=False)


def parse_exif(block: bytes) -> Exif:
    r"""Read an EXIF block, with its prefix ``Exif\0\0`` or without it. Garbage gives the defaults."""
    tiff = _opened(block)
    if tiff is None:
        return Exif()
    main = tiff.first()
    orientation = tiff.number(main, _ORIENTATION)
    sub = tiff.directory(tiff.number(main, EXIF_IFD))
    gps = tiff.directory(tiff.number(main, GPS_IFD)).entries
    return Exif(
        orientation=orientation if orientation is not None and 1 <= orientation <= 8 else 1,
        taken_at=_date(tiff, sub, _DATE_TIME_ORIGINAL) or _date(tiff, main, DATE_TIME),
        has_gps=_GPS_LATITUDE in gps and _GPS_LONGITUDE in gps,
        block=block,
    )


def moment_of(block: bytes) -> Moment | None:
    """When the shutter was released, by an EXIF block; not when a program last wrote the file.

    None without a date, or for one that no calendar has.
    """
    tiff = _opened(block)
    if tiff is None:
        return None
    main = tiff.first()
    sub = tiff.directory(tiff.number(main, EXIF_IFD))
    shot = _date(tiff, sub, _DATE_TIME_ORIGINAL)
    if shot is None:
        return None
    try:
        local_s = datetime.fromisoformat(shot).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None
    fraction = _text(tiff, sub, _SUBSECONDS_ORIGINAL)
    if fraction.isascii() and fraction.isdigit():
        local_s += float(f"0.{fraction}")
    ahead = _OFFSET.fullmatch(_text(tiff, sub, _AHEAD_OF_UTC))
    offset_s = None if ahead is None else int(f"{ahead[1]}1") * (3600 * int(ahead[2]) + 60 * int(ahead[3]))
    named = (_camera(tiff, main), _text(tiff, sub, _SERIAL_NUMBER))
    return Moment(local_s, offset_s, " ".join(filter(None, named)))


def camera_of(block: bytes) -> str:
    """Make and model in an EXIF block or a TIFF file; empty if it names none."""
    tiff = _opened(block)
    return "" if tiff is None else _camera(tiff, tiff.first())


def _opened(block: bytes) -> Tiff | None:
    """The TIFF structure of a block, with or without the header that a JPEG puts before it."""
    return Tiff.of(block[6:] if block[:6] == b"Exif\0\0" else block)


def _camera(tiff: Tiff, main: Directory) -> str:
    return " ".join(filter(None, (_text(tiff, main, tag) for tag in (_MAKE, _MODEL))))


def _text(tiff: Tiff, directory: Directory, tag: int) -> str:
    kind, count, start = tiff.field(directory, tag) or (0, 0, 0)
    if kind != ASCII or count > _LONGEST_TEXT:
        return ""
    text = bytes(tiff.data[start : start + count]).split(b"\0")[0].decode("utf-8", "replace")
    return "".join(char for char in text if char.isprintable()).strip()


def read_tiff_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) of the first picture in a TIFF file, if its directory lies within `data`."""
    tiff = Tiff.of(data)
    if tiff is None:
        return None
    main = tiff.first()
    width, height = (tiff.number(main, tag) for tag in (_IMAGE_WIDTH, _IMAGE_LENGTH))
    return None if width is None or height is None else (width, height)


def _date(tiff: Tiff, directory: Directory, tag: int) -> str | None:
    field = tiff.field(directory, tag)
    if field is None:
        return None
    kind, count, offset = field
    match = _DATE.match(tiff.data, offset) if kind == ASCII and 19 <= count <= 32 else None
    if match is None or match[1] == b"0000":  # a camera whose clock was never set
        return None
    year, month, day, hour, minute, second = (group.decode() for group in match.groups())
    return f"{year}-{month}-{day}T{hour}:{minute}:{second}"
