"""All that a file's EXIF says, for a person to read: the date and the place first."""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from PIL import ExifTags, Image

from cvsim.images.holdings import read_exif_block
from cvsim.images.sniff import HEAD_BYTES, sniff

PLACE_NAME = "Place"
_TAKEN_NAME = "DateTimeOriginal"
_READ_FORMATS = ("JPEG", "PNG", "TIFF")
"""Formats whose headers Pillow reads in Python: nothing that can crash is asked. Of others, `read_exif_block`
finds the block."""
_IS_STRUCTURE = frozenset(
    (*range(254, 260), 262, 266, 273, 277, 278, 279, 284, 288, 289, 317, 320, 330, 338, 339, 340, 341, 347)
) | frozenset((*range(322, 326), *range(512, 522), 529, 530, 531, 532, 700, 33723, 34377, 34675, 50341))
"""Tags of TIFF that tell a decoder where and how the pixels lie, or hold a block of another kind."""
_INNER_IFDS = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
_OFFSETS = {"ExifOffset", "GPSInfo", "MakerNote", "ExifInteroperabilityOffset", "PrintImageMatching"}
_CUT_AFTER = 200
_ASKED_FOR = (
    _TAKEN_NAME,
    PLACE_NAME,
    "Make",
    "Model",
    "LensModel",
    "ExposureTime",
    "FNumber",
    "ISOSpeedRatings",
    "FocalLength",
)


def exif_table(path: str) -> dict[str, str]:
    """Names and values, those that people ask for first; empty where there are none, or none can be read.

    Values are cut after some hundred characters, and what is no text or number is told by its length.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what Pillow finds odd
            found = _read(path)
    except Exception:  # whatever a broken header makes of a reader: there is nothing to show
        return {}
    first = [name for name in _ASKED_FOR if name in found]
    return {name: found[name] for name in [*first, *sorted(found.keys() - set(first))]}


def _read(path: str) -> dict[str, str]:
    with open(path, "rb") as stream:
        format = sniff(stream.read(HEAD_BYTES), name=path) or ""
        if format.upper() not in _READ_FORMATS:
            stream.seek(0)
            exif = Image.Exif()
            exif.load(read_exif_block(stream.read(), format))
            return dict(_fields(exif))
    with Image.open(path, formats=_READ_FORMATS) as picture:
        return dict(_fields(picture.getexif()))


def _fields(exif: Image.Exif) -> Iterator[tuple[str, str]]:
    main = {tag: exif[tag] for tag in exif if tag not in _INNER_IFDS and tag not in _IS_STRUCTURE}
    yield from _named(main, ExifTags.TAGS)
    yield from _named(exif.get_ifd(ExifTags.IFD.Exif), ExifTags.TAGS)
    position = exif.get_ifd(ExifTags.IFD.GPSInfo)
    yield from _named(position, ExifTags.GPSTAGS)
    if place := _place(position):
        yield PLACE_NAME, place


def _named(values: Mapping[int, Any], names: Mapping[int, str]) -> Iterator[tuple[str, str]]:
    for tag, value in values.items():
        name = names.get(tag, f"0x{tag:04x}")
        words = "" if name in _OFFSETS else _words(value)
        if words:
            yield name, words


def _words(value: Any) -> str:
    if isinstance(value, bytes):
        text = value.rstrip(b"\0 ")
        is_text = text.isascii() and text.decode("ascii", "replace").isprintable()
        return _cut(text.decode("ascii")) if is_text else f"{len(value):,} bytes"
    if isinstance(value, tuple | list):
        return _cut(", ".join(_words(one) for one in value[:16]))
    if isinstance(value, numbers.Rational) and not isinstance(value, int):
        number = float(value) if value.denominator else 0.0
        return f"1/{round(1 / number)}" if 0 < number < 0.3 else f"{number:g}"
    return _cut(str(value).rstrip("\0 "))


def _cut(text: str) -> str:
    return text if len(text) <= _CUT_AFTER else text[:_CUT_AFTER] + "…"


def _place(position: Mapping[int, Any]) -> str:
    """``"48.85837, 2.29448"``: what a map takes; empty without a whole position."""
    degrees = []
    for value_tag, side_tag, negative in ((2, 1, "S"), (4, 3, "W")):
        parts = position.get(value_tag)
        if not isinstance(parts, tuple) or len(parts) != 3:
            return ""
        value = sum(float(part) / 60**power for power, part in enumerate(parts))
        if not value <= 180:
            return ""
        degrees.append(-value if str(position.get(side_tag, "")).startswith(negative) else value)
    return ", ".join(f"{value:.5f}" for value in degrees)
