"""JPEG: the header read by hand, the pixels by libjpeg-turbo at a reduced scale.

simplejpeg rather than OpenCV: the same library and the same pixels, but what the decoder complains about
comes back as an error instead of a line on the user's terminal (so a damaged file is known as one), a
truncated picture is decoded as far as it goes, and the result is RGB without a copy.
"""

from __future__ import annotations

import hashlib
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import simplejpeg

from cvsim.errors import DecodeError
from cvsim.images.exif import Exif, parse_exif

if TYPE_CHECKING:
    from cvsim.types import RGB

_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # start of frame, without DHT, JPG and DAC
_PROGRESSIVE = frozenset((0xC2, 0xC6, 0xCA, 0xCE))
_STANDALONE = frozenset((0x01, *range(0xD0, 0xD9)))  # TEM, RSTn, SOI: no length follows
SOS, EOI, DQT, COM, APP1, APP2, APP14, APP15 = 0xDA, 0xD9, 0xDB, 0xFE, 0xE1, 0xE2, 0xEE, 0xEF
EXIF_PREFIX = b"Exif\0\0"
_END = b"\xff\xd9"
_MANY_SCANS = 64  # encoders write about 10
_UNDECODED = 128  # what libjpeg fills in
_LEAST_DECODED = 0.01  # of the bytes of all pixels; chosen by hand, not tuned
_AFTER_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_SUFFICIENT = 15 / 16  # so that a camera's 4,000 pixels are decoded at an eighth for 512; see `reduction_for`
# libjpeg's warnings about a header that is odd but leaves the picture whole.
_HARMLESS = ("Unknown Adobe", "Warning: unknown JFIF", "Invalid SOS parameters")


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """What the segments before the picture say."""

    width_px: int
    height_px: int
    n_components: int
    is_progressive: bool
    is_inverted: bool
    """Adobe writes CMYK as ink left out."""
    exif: Exif
    height_at: int
    """Tell where in the file the height is stored, in two bytes."""


class Segment(NamedTuple):
    """A part of a JPEG file between two markers.

    Attributes
    ----------
    marker : int
        Its second byte: 0xE1 is APP1.
    start, body, end : int
        Where the marker, what follows the length, and the next segment begin. The end may lie behind that of
        the data.
    """

    marker: int
    start: int
    body: int
    end: int


def segments(data: bytes, start: int = 0) -> Iterator[Segment]:
    """The segments of the JPEG that begins at `start`, up to its first scan or its end.

    The last one is that of the scan (`SOS`) or the end (`EOI`), unless the data end before it. Stray and
    filling bytes between segments are passed over, as decoders do.
    """
    position, last = start + 2, len(data) - 4
    while position <= last:
        if data[position] != 0xFF:
            position = data.find(b"\xff", position)
            if position < 0:
                return
            continue
        marker = data[position + 1]
        if marker in (0xFF, 0x00):
            position += 1
        elif marker in _STANDALONE:
            position += 2
        else:
            length = int.from_bytes(data[position + 2 : position + 4], "big")
            end = position + 2 + (0 if marker == EOI else max(length, 2))
            yield Segment(marker, position, position + 4, end)
            if marker in (SOS, EOI):
                return
            position = end


def jpeg_end(data: bytes, start: int = 0) -> int:
    """Where the JPEG that begins at `start` ends: behind its last marker, or with the data."""
    last = next(iter(deque(segments(data, start), maxlen=1)), None)
    while last is not None:
        if last.marker == EOI:
            return last.end
        match = _AFTER_SCAN.search(data, last.end)
        if match is None:
            return len(data)
        at, marker = match.start(), data[match.start() + 1]
        length = 0 if marker == EOI else int.from_bytes(data[at + 2 : at + 4], "big")
        last = Segment(marker, at, at + 4, at + 2 + length)
    return len(data)


def frame_precision(data: bytes, segment: Segment) -> int | None:
    """Bits a sample, if the segment begins the picture; None for any other."""
    return data[segment.body] if segment.marker in _SOF and segment.body < len(data) else None


def read_jpeg_header(data: bytes) -> JpegHeader:
    """Walk the segments up to the first scan.

    Raises
    ------
    DecodeError
        The segments end, or make no sense, before the size of the picture is known.
    """
    frame: tuple[int, int, int, bool, int] | None = None
    exif = Exif()
    is_adobe = False
    for segment in segments(data):
        marker, body = segment.marker, segment.body
        if marker in _SOF and segment.end - segment.start >= 10 and body + 6 <= len(data):
            height_px = int.from_bytes(data[body + 1 : body + 3], "big")
            width_px = int.from_bytes(data[body + 3 : body + 5], "big")
            frame = (width_px, height_px, data[body + 5], marker in _PROGRESSIVE, body + 1)
        elif marker == APP1 and data[body : body + 6] == EXIF_PREFIX and exif == Exif():
            exif = parse_exif(data[body + 6 : segment.end])
        elif marker == APP14 and data[body : body + 5] == b"Adobe":
            is_adobe = True
    if frame is None:
        raise DecodeError("truncated JPEG: it ends before the picture begins")
    width_px, height_px, n_components, is_progressive, height_at = frame
    if width_px == 0 or height_px == 0:
        raise DecodeError("corrupt JPEG: a picture without width or height")
    return JpegHeader(width_px, height_px, n_components, is_progressive, is_adobe, exif, height_at)


class JpegIdentities:
    """Digests of the quantisation tables with the orientation, and of all that decides about the pixels.

    Files of one picture are many where this is asked: of those that are equal, one is digested, and the
    others are compared with it, which is ten times as fast.

    Parameters
    ----------
    held_bytes : int
        What is kept to compare with, at most.
    """

    def __init__(self, held_bytes: int = 32 << 20) -> None:
        self._free_bytes = held_bytes
        self._held: dict[bytes, list[tuple[bytes, bytes]]] = {}
        """By what precedes the scans: the scans up to the end of the picture, and the digest of both."""

    def of(self, data: bytes) -> tuple[bytes, bytes]:
        """The two digests of a file, 32 bytes each.

        Two files of one second digest show the same pixels: they differ in comments, in metadata and in what
        follows the picture alone. Two
        files of different first digests hardly can: turned blocks are not rounded alike.

        Raises
        ------
        DecodeError
            As `read_jpeg_header`.
        """
        tables, head, start = _identity_parts(data)
        for scans, code in self._held.get(head, ()):
            if data.startswith(scans, start):
                return tables, code
        end = max(start, jpeg_end(data))
        digest = hashlib.sha256(head)
        digest.update(memoryview(data)[start:end])
        if end - start <= self._free_bytes and data.endswith(_END, start, end):
            self._free_bytes -= end - start
            self._held.setdefault(head, []).append((data[start:end], digest.digest()))
        return tables, digest.digest()


def _identity_parts(data: bytes) -> tuple[bytes, bytes, int]:
    """Digest of quantisation tables and orientation, all that decides about pixels, where the scans start."""
    turn = bytes([read_jpeg_header(data).exif.orientation])
    tables, head = hashlib.sha256(turn), [turn]
    position = 2
    for marker, start, _, end in segments(data):
        if marker in (SOS, EOI):
            position = start
            break
        position = end
        segment = data[start:end]
        if marker == DQT:
            tables.update(segment)
        if not (APP1 <= marker <= APP15 or marker == COM) or marker == APP14:
            head.append(segment)
    return tables.digest(), b"".join(head), min(position, len(data))


def is_jpeg_risky(data: bytes, header: JpegHeader) -> bool:
    """Whether decoding may take far longer than the size suggests: a progressive JPEG of many scans."""
    return header.is_progressive and data.count(b"\xff\xda") > _MANY_SCANS


def jpeg_decode_bytes(header: JpegHeader) -> int:
    """Memory of the decoder itself, in bytes: a progressive picture is held whole, as coefficients."""
    return header.width_px * header.height_px * header.n_components * 2 if header.is_progressive else 0


def reduction_for(width_px: int, height_px: int, longest_px: int) -> int:
    """The largest of 1, 2, 4, 8 that leaves the longer side at least about `longest_px`.

    A picture that is a little smaller than asked for is not worth decoding four times as many pixels.
    """
    longest = max(width_px, height_px)
    least_px = longest_px * _SUFFICIENT
    return next((reduction for reduction in (8, 4, 2) if longest >= reduction * least_px), 1)


def decode_jpeg(data: bytes, header: JpegHeader, reduction: int) -> tuple[RGB, bool]:
    """Decode at 1 / `reduction` of the size, as stored (no orientation applied).

    Returns
    -------
    rgb : (ceil(h / reduction), ceil(w / reduction), 3) uint8
    damaged : bool
        The data end early or are corrupt; what could not be decoded is grey.

    Raises
    ------
    DecodeError
        Nothing, or next to nothing, could be decoded.
    """
    color = "CMYK" if header.n_components == 4 else "RGB"
    size = {
        "min_height": -(-header.height_px // reduction),
        "min_width": -(-header.width_px // reduction),
        "min_factor": reduction,
    }
    damage = ""
    try:
        pixels = simplejpeg.decode_jpeg(data, color, strict=True, **size)
    except ValueError as complaint:
        # Strict decoding stops at a mere warning; only the second try tells whether it was one.
        try:
            pixels = simplejpeg.decode_jpeg(data, color, strict=False, **size)
        except ValueError as exc:
            raise DecodeError(_reason(str(exc))) from exc
        damage = "" if str(complaint).startswith(_HARMLESS) else str(complaint)
    if damage and np.count_nonzero(pixels != _UNDECODED) < _LEAST_DECODED * pixels.size:
        raise DecodeError(_reason(damage))
    if header.n_components == 4:
        pixels = _cmyk_to_rgb(pixels, is_inverted=header.is_inverted)
    return pixels, bool(damage)


def decode_top(data: bytes, header: JpegHeader, n_rows: int) -> RGB | None:
    """The first rows at full size, as stored, for little more than these rows cost.

    The decoder is told that the picture ends a little below them: further rows have no part in them.

    Returns
    -------
    (at most n_rows, w, 3) uint8, or None
        None where the rows are not coded one after the other, in CMYK, and where nothing can be decoded.
    """
    if header.is_progressive or header.n_components == 4:
        return None
    height_px = min(header.height_px, 2 * n_rows)
    at = header.height_at
    low = b"".join((data[:at], height_px.to_bytes(2, "big"), data[at + 2 :]))
    try:
        return np.asarray(simplejpeg.decode_jpeg(low, "RGB", strict=False)[:n_rows], np.uint8)
    except ValueError:
        return None


def _cmyk_to_rgb(cmyk: np.ndarray, *, is_inverted: bool) -> RGB:
    light = cmyk.astype(np.uint16) if is_inverted else 255 - cmyk.astype(np.uint16)
    return ((light[..., :3] * light[..., 3:] + 127) // 255).astype(np.uint8)


def _reason(message: str) -> str:
    if "Premature end" in message:
        return "truncated JPEG: it ends before the picture does"
    message = message.rpartition("(): ")[2]  # without the name of the decoder's function
    return f"corrupt JPEG: {message[:1].lower()}{message[1:]}"
