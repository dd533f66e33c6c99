"""From a file's bytes to its `Holdings`, and from these to JSON and to words."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any, BinaryIO

import numpy as np

from cvsim.errors import ImageError
from cvsim.images import pillow
from cvsim.images.exif import camera_of
from cvsim.images.holdings.found import DEPTH_MAP, FILM, FURTHER, GAIN_MAP, OTHER, RAW_DATA, Found
from cvsim.images.holdings.in_blocks import (
    read_bmp,
    read_gif,
    read_ico,
    read_jpeg2000,
    read_png,
    read_pnm,
    read_webp,
)
from cvsim.images.holdings.in_heif import read_heif
from cvsim.images.holdings.in_jpeg import read_jpeg
from cvsim.images.holdings.in_jxl import read_jxl
from cvsim.images.holdings.in_tiff import read_tiff
from cvsim.images.profiles import read_profile
from cvsim.types import Held, Holdings


def _read_raw(data: bytes) -> Found:
    """A raw file is itself what it holds: no other file can stand for it."""
    found = Found(bits=16, exif=data)
    found.add(RAW_DATA, data)
    return found


_READERS: Mapping[str, Callable[[bytes], Found]] = {
    "avif": read_heif,
    "bmp": read_bmp,
    "gif": read_gif,
    "heic": read_heif,
    "ico": read_ico,
    "jpeg": read_jpeg,
    "jpeg2000": read_jpeg2000,
    "jxl": read_jxl,
    "png": read_png,
    "pnm": read_pnm,
    "raw": _read_raw,
    "tiff": read_tiff,
    "webp": read_webp,
}
_MOST_BITS = 64
_log = logging.getLogger(__name__)


def read_holdings(data: bytes, format: str) -> tuple[Holdings, bool]:
    """What a file holds, and whether decoding could still show that it is transparent.

    Parameters
    ----------
    data : bytes
        The whole file, or a mapped one.
    format : str
        What `cvsim.images.sniff.sniff` said.

    Returns
    -------
    holdings : Holdings
        Of a file whose structure is damaged, what could be read of it. `alpha` is False.
    may_have_alpha : bool
    """
    found = _found(data, format)
    profile = read_profile(found.profile) if found.profile else None
    name, key = (profile.name, profile.key) if profile is not None else (found.color, found.color)
    holdings = Holdings(
        pictures=found.pictures,
        frames=found.frames,
        frames_s=round(found.frames_s, 3),
        bits=min(found.bits, _MOST_BITS),
        profile=name if key else None,
        profile_key=key,
        parts=found.held(),
        camera=camera_of(found.exif) if found.exif else "",
    )
    return holdings, found.may_have_alpha


def read_icc(data: bytes, format: str) -> bytes:
    """The ICC profile in a file; empty if there is none."""
    return _found(data, format).profile


def read_exif_block(data: bytes, format: str) -> bytes:
    """The EXIF block in a file; empty if there is none."""
    return _found(data, format).exif


def _found(data: bytes, format: str) -> Found:
    reader = _READERS.get(format)
    try:
        return reader(data) if reader is not None else Found(may_have_alpha=format == "tga")
    except Exception:  # garbage meets every reader sooner or later; what cannot be read holds nothing more
        _log.debug("the structure of a %s makes no sense", format, exc_info=True)
        return Found(may_have_alpha=format != "jpeg")


def uses_alpha(data: bytes | BinaryIO, format: str) -> bool:
    """Whether a pixel of the first picture is not opaque. Decodes it.

    Raises
    ------
    ImageError
        It cannot be decoded.
    """
    picture = pillow.open_picture(data, format)
    try:
        picture.load()
        if picture.mode not in pillow.ALPHA_MODES and "transparency" not in picture.info:
            return False
        alpha = picture if picture.mode in ("RGBA", "LA") else picture.convert("RGBA")
        return bool(np.asarray(alpha.getchannel("A")).min(initial=pillow.OPAQUE_ALPHA) < pillow.OPAQUE_ALPHA)
    except Exception as exc:
        raise pillow.mapped(exc, format) from exc


def with_alpha(holdings: Holdings, data: bytes | BinaryIO, format: str) -> Holdings:
    """The holdings with what decoding tells; without where it fails."""
    try:
        return replace(holdings, alpha=uses_alpha(data, format))
    except ImageError:
        return holdings


def as_json(holdings: Holdings) -> dict[str, Any]:
    """As reports show them."""
    film, rest = holdings.parts.get(FILM), holdings.parts.get(OTHER)
    named = {FILM, OTHER, DEPTH_MAP, GAIN_MAP, FURTHER}
    return {
        "pictures": holdings.pictures,
        "frames": holdings.frames,
        "frames_s": holdings.frames_s,
        "alpha": holdings.alpha,
        "bits": holdings.bits,
        "profile": holdings.profile,
        "film_bytes": film.n_bytes if film else 0,
        "film_s": round(film.seconds, 2) if film and film.seconds is not None else None,
        "trailing_bytes": rest.n_bytes if rest else 0,
        "depth_map": DEPTH_MAP in holdings.parts,
        "gain_map": GAIN_MAP in holdings.parts,
        "more": [name for name in holdings.parts if name not in named],
    }


def in_words(holdings: Holdings, format: str = "") -> list[str]:
    """What is worth saying: ``["4 frames", "film 2.1 s", "16 bit", "transparent"]``."""
    words = []
    if holdings.pictures > 1:
        words.append(f"{holdings.pictures} {'pages' if format == 'tiff' else 'pictures'}")
    if holdings.frames > 1:
        words.append(f"{holdings.frames} frames")
    words += [part_in_words(name, held) for name, held in holdings.parts.items() if name != FURTHER]
    if holdings.bits > 8:
        words.append(f"{holdings.bits} bit")
    if holdings.alpha:
        words.append("transparent")
    if holdings.profile is not None:
        words.append(f"profile {holdings.profile}")
    return words


def part_in_words(name: str, held: Held) -> str:
    """``"film 2.1 s"``, ``"other data 3 kB"``, ``"depth map"``."""
    if held.seconds is not None:
        return f"{name} {held.seconds:.1f} s"
    if name in (FILM, OTHER):
        return f"{name} {max(1, round(held.n_bytes / 1000))} kB"
    return name


def to_json(holdings: Holdings) -> bytes:
    """For a store."""
    return json.dumps(asdict(holdings), separators=(",", ":")).encode()


def from_json(data: bytes) -> Holdings:
    """From a store."""
    values = json.loads(data)
    parts = {name: Held(**held) for name, held in values.pop("parts").items()}
    return Holdings(**values, parts=parts)
