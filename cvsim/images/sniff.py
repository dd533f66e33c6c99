"""What a file is, by its content; names lie."""

from __future__ import annotations

import os

from cvsim.images.formats import FORMAT_TABLE
from cvsim.images.iso_media import is_film_brand

HEAD_BYTES = 64
"""How much of a file's beginning `sniff` looks at."""
_FILM_MAGICS = (
    b"\x1a\x45\xdf\xa3",
    b"FLV\1",
    b"\0\0\1\xba",
    b"\0\0\1\xb3",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",
)
"""Matroska and WebM, Flash video, two of MPEG, and Windows Media."""


def sniff(head: bytes, *, name: str = "") -> str | None:
    """Tell an image's format.

    Parameters
    ----------
    head : bytes
        The first `HEAD_BYTES` bytes of a file (fewer if it is shorter; more do no harm).
    name : str
        The file's name: a hint for TGA, which has no signature, and for raw files that begin like a TIFF.

    Returns
    -------
    str or None
        A name in `cvsim.images.formats.FORMAT_TABLE`; None for anything else.
    """
    name = os.path.basename(name).lower()
    return next((entry.name for entry in FORMAT_TABLE.values() if entry.signature(head, name)), None)


def is_film(head: bytes) -> bool:
    """Whether a file that is no picture begins like a video."""
    if head[4:8] == b"ftyp":
        return is_film_brand(head[8:12])
    return head.startswith(_FILM_MAGICS) or (head[:4] == b"RIFF" and head[8:12] == b"AVI ")


def is_risky(format: str | None) -> bool:
    """Whether the format is decoded where the decoder can be killed: every one but JPEG."""
    return format is not None and FORMAT_TABLE[format].is_risky
