"""The boxes that HEIC, AVIF, MP4 and QuickTime files are made of (ISO/IEC 14496-12), read within bounds."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

_MOST_BOXES = 10_000
_HEAD_BYTES = 8
_FILM_BRANDS = frozenset((b"avc1", b"dash", b"iso2", b"iso4", b"iso5", b"iso6", b"isom", b"qt  ", b"MSNV"))


class IsoBox(NamedTuple):
    """Its four-letter type, and where it, its body and the next box begin."""

    type: bytes
    start: int
    body: int
    end: int


def boxes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[IsoBox]:
    """The boxes one after the other, as far as they make sense."""
    position, last = start, len(data) if end is None else min(end, len(data))
    for _ in range(_MOST_BOXES):
        if position + _HEAD_BYTES > last:
            return
        size, body = int.from_bytes(data[position : position + 4], "big"), position + _HEAD_BYTES
        kind = bytes(data[position + 4 : position + 8])
        if size == 1 and position + 16 <= last:
            size, body = int.from_bytes(data[position + 8 : position + 16], "big"), position + 16
        elif size == 0:
            size = last - position
        if size < body - position or position + size > last or not all(32 <= code < 127 for code in kind):
            return
        yield IsoBox(kind, position, body, position + size)
        position += size


def find_box(data: bytes, path: tuple[bytes, ...], start: int = 0, end: int | None = None) -> IsoBox | None:
    """The first box under a path of types: ``(b"moov", b"mvhd")``."""
    found = None
    for kind in path:
        found = next((box for box in boxes(data, start, end) if box.type == kind), None)
        if found is None:
            return None
        start, end = found.body, found.end
    return found


def begins_film(data: bytes, start: int) -> bool:
    """Whether a film of its own begins there, by its brand."""
    return bytes(data[start + 4 : start + 8]) == b"ftyp" and is_film_brand(
        bytes(data[start + 8 : start + 12])
    )


def is_film_brand(brand: bytes) -> bool:
    """Whether a file of this major brand is a film."""
    return brand in _FILM_BRANDS or brand[:2] in (b"mp", b"M4", b"3g", b"MP")


def film_seconds(data: bytes, start: int = 0, end: int | None = None) -> float | None:
    """How long a film lasts, by its header; None if that can not be found."""
    header = find_box(data, (b"moov", b"mvhd"), start, end)
    return None if header is None else _seconds(data, header)


def track_seconds(data: bytes, track: IsoBox) -> float | None:
    """How long a track lasts, by its media header."""
    header = find_box(data, (b"mdia", b"mdhd"), track.body, track.end)
    return None if header is None else _seconds(data, header)


def _seconds(data: bytes, header: IsoBox) -> float | None:
    # Version 0 has times of 32 bits, version 1 of 64; both begin with two times that do not matter here.
    layout, at = (">IQ", 20) if data[header.body : header.body + 1] == b"\1" else (">II", 12)
    try:
        timescale, duration = struct.unpack_from(layout, data, header.body + at)
    except struct.error:
        return None
    return duration / timescale if timescale else None
