"""Whether a large file can be a picture at all: told from a few places in it, before the whole is read.

A file of many gigabytes, most of it a hole that takes no room on the disk, may begin like a picture. To
digest it takes minutes, and no decoder would take it.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

from cvsim.errors import DecodeError
from cvsim.images.decode import MAX_PIXELS, check_size
from cvsim.images.header import peek_size

_BEGINNING_BYTES = 1 << 16
_MOST_CHUNKS = 1000
_SIZED = ("bmp", "gif", "png", "tga")
"""Formats whose size stands at a fixed place of the header."""


def check_structure(stream: BinaryIO, format: str, size_bytes: int) -> None:
    """Refuse what is no picture by its structure; what cannot be told so is let through.

    Parameters
    ----------
    stream : binary file
        Where it stands afterwards is not defined.
    format : str
        What `sniff` said.
    size_bytes : int
        Of the whole file.

    Raises
    ------
    DecodeError, TooLargeError
    """
    stream.seek(0)
    beginning = stream.read(_BEGINNING_BYTES)
    if format in _SIZED and (size := peek_size(beginning, format)) is not None:
        check_size(size, MAX_PIXELS)
    if format == "png":
        _check_png(stream, size_bytes)
    elif format == "tiff":
        _check_tiff(beginning, size_bytes)


def _check_png(stream: BinaryIO, size_bytes: int) -> None:
    """Chunks follow each other from the signature to the first one of pixels."""
    at = 8
    for _ in range(_MOST_CHUNKS):
        stream.seek(at)
        head = stream.read(8)
        kind = head[4:]
        if len(head) < 8 or not (kind.isalpha() and kind.isascii()):
            raise DecodeError("corrupt or unsupported PNG: no pixels follow its header")
        if kind == b"IDAT":
            return
        at += 12 + int.from_bytes(head[:4], "big")


def _check_tiff(beginning: bytes, size_bytes: int) -> None:
    """The first directory lies within the file."""
    order = "<" if beginning[:2] == b"II" else ">"
    is_big = beginning[2:4] in (b"+\0", b"\0+")
    (at,) = struct.unpack_from(f"{order}Q" if is_big else f"{order}I", beginning, 8 if is_big else 4)
    if not 8 <= at < size_bytes:
        raise DecodeError("corrupt or unsupported TIFF: it has no directory")
