"""ICC profiles: which ones mean sRGB, which two mean the same, and what they are called.

Cameras and programs write sRGB in hundreds of versions, so bytes do not tell. A profile of primaries and tone
curves is what these numbers are (ICC.1:2022); one that works by tables is known by its bytes alone.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

_PROBES = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9)
_SAME_LIGHT = 0.015
"""Chosen by hand: a gamma of 2.2 is off the curve of sRGB by 0.009 at most at the probes."""
_SAME_PRIMARY = 0.006
"""Chosen by hand, not tuned."""
_SRGB_XYZ = ((0.436, 0.222, 0.014), (0.385, 0.717, 0.097), (0.143, 0.061, 0.714))
"""XYZ of red, green and blue, adapted to D50, as ICC profiles hold them (IEC 61966-2-1)."""
_MOST_PROFILE_TAGS = 200
_MOST_NAME = 60


@dataclass(frozen=True, slots=True)
class ColorProfile:
    """What colours a profile gives to values.

    Attributes
    ----------
    name : str
        Its description, or that of its kind.
    key : str
        Equal for two profiles that mean the same; empty for one that means sRGB, or grey as it is usual.
    """

    name: str
    key: str


def read_profile(data: bytes) -> ColorProfile | None:
    """The profile that these bytes are; None for bytes that are none.

    Its values may be nonsense, as in any file: then it is known by its bytes.
    """
    if len(data) < 132 or data[36:40] != b"acsp":
        return None
    tags = _tags(data)
    name = _name(tags.get(b"desc", b"")) or "a colour profile"
    space = data[16:20]
    if any(tag in tags for tag in (b"A2B0", b"cicp")) or space not in (b"RGB ", b"GRAY"):
        return ColorProfile(name, hashlib.sha256(data).hexdigest())
    curves = (b"rTRC", b"gTRC", b"bTRC") if space == b"RGB " else (b"kTRC",)
    try:
        lights = [_light(tags[curve]) for curve in curves]
        primaries = [_xyz(tags[tag]) for tag in (b"rXYZ", b"gXYZ", b"bXYZ")] if space == b"RGB " else []
        values = [[light(probe) for probe in _PROBES] for light in lights]
    except (KeyError, struct.error, ArithmeticError, ValueError, IndexError):
        return ColorProfile(name, hashlib.sha256(data).hexdigest())
    is_usual_light = all(
        abs(value - _srgb_light(probe)) < _SAME_LIGHT
        for row in values
        for probe, value in zip(_PROBES, row, strict=True)
    )
    is_srgb = all(
        abs(a - b) < _SAME_PRIMARY
        for row, other in zip(primaries, _SRGB_XYZ, strict=False)
        for a, b in zip(row, other, strict=True)
    )
    if is_usual_light and is_srgb:
        return ColorProfile(name, "")
    return ColorProfile(name, repr([[round(v, 2) for v in row] for row in (*primaries, *values)]))


def _srgb_light(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def _tags(data: bytes) -> Mapping[bytes, bytes]:
    count = min(int.from_bytes(data[128:132], "big"), _MOST_PROFILE_TAGS, (len(data) - 132) // 12)
    tags = {}
    for at in range(132, 132 + 12 * count, 12):
        start, size = struct.unpack_from(">II", data, at + 4)
        tags[data[at : at + 4]] = data[start : start + size]
    return tags


def _xyz(tag: bytes) -> tuple[float, float, float]:
    x, y, z = struct.unpack_from(">3i", tag, 8)
    return x / 65536, y / 65536, z / 65536


def _light(tag: bytes) -> Callable[[float], float]:
    """The tone curve of a tag: from a value to light, both in [0, 1]."""
    if tag[:4] == b"curv":
        count = int.from_bytes(tag[8:12], "big")
        if count == 0:
            return lambda value: value
        points = struct.unpack_from(f">{min(count, 4096)}H", tag, 12)
        if len(points) == 1:
            gamma = points[0] / 256
            return lambda value: value**gamma
        return lambda value: _interpolated(points, value)
    if tag[:4] != b"para":
        raise ValueError("no tone curve")
    kind = int.from_bytes(tag[8:10], "big")
    g, *rest = (number / 65536 for number in struct.unpack_from(f">{(1, 3, 4, 5, 7)[kind]}i", tag, 12))
    a, b, c, d, e, f = (*rest, *(0.0,) * (6 - len(rest))) if rest else (1.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    if kind == 1:
        return lambda value: (a * value + b) ** g if a * value + b >= 0 else 0.0
    if kind == 2:
        return lambda value: (a * value + b) ** g + c if a * value + b >= 0 else c
    if kind in (3, 4):
        return lambda value: (a * value + b) ** g + e if value >= d else c * value + f
    return lambda value: value**g


def _interpolated(points: tuple[int, ...], value: float) -> float:
    at = value * (len(points) - 1)
    low = min(int(at), len(points) - 2)
    return (points[low] + (points[low + 1] - points[low]) * (at - low)) / 65535


def _name(tag: bytes) -> str:
    """The description, of the old kind of tag or the new one."""
    if tag[:4] == b"desc":
        length = int.from_bytes(tag[8:12], "big")
        text = tag[12 : 12 + length].decode("latin-1")
    elif tag[:4] == b"mluc" and len(tag) >= 28:
        length, start = struct.unpack_from(">II", tag, 20)
        text = tag[start : start + length].decode("utf-16-be", "replace")
    else:
        return ""
    return "".join(char for char in text if char.isprintable()).strip()[:_MOST_NAME]
