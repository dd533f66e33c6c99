"""From the bytes of a file to pixels, at the size that is asked for."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, BinaryIO

import cv2
import numpy as np

from cvsim.errors import DecodeError, NotAnImageError, TooLargeError
from cvsim.images import jpeg, pillow, raw
from cvsim.images.header import peek_size
from cvsim.images.plain import plain_pixels
from cvsim.images.raster import fit, orient, resize, swaps_sides, thumbnail
from cvsim.images.sniff import HEAD_BYTES, sniff

if TYPE_CHECKING:
    from cvsim.images.exif import Exif
    from cvsim.types import RGB, Gray, SeenThrough

__all__ = ["MAX_PIXELS", "Decoded", "decode", "decode_full", "digest_of", "pixel_digest", "thumbnail"]

_UNSHRUNK_PX = 2**31
_MOST_HEAD_BYTES = 1 << 20
EDGE_ROWS_PX, EDGE_DIGEST_BYTES = 16, 8
MAX_PIXELS = 250_000_000
"""More than any camera or scanner for photographs makes; a bomb's header claims more."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A picture, as it is meant to be seen.

    Attributes
    ----------
    rgb : (h, w, 3) uint8
        The longer side is at most what was asked for; a smaller picture keeps its size.
    width_px, height_px : int
        Full size, after the EXIF orientation is applied.
    format : str
    damaged : bool
        Only a part of the picture could be decoded.
    taken_at : str or None
        The EXIF date, ``YYYY-MM-DDTHH:MM:SS``.
    has_gps : bool
    pixel_digest : str or None
        Of all pixels, where it was asked for and came with the decoding; see the function of that name.
    edges : bytes
        `edge_digests` of all pixels, where `pixel_digest` was asked for and all were decoded.
    exif : bytes
        The block of the file; empty where it has none.
    seen_through : SeenThrough or None
        Of a picture with transparent parts, which `rgb` shows on white; known of those that are shrunk for
        looking at, not of one that is asked for whole.
    """

    rgb: RGB
    width_px: int
    height_px: int
    format: str
    damaged: bool = False
    taken_at: str | None = None
    has_gps: bool = False
    pixel_digest: str | None = None
    edges: bytes = b""
    exif: bytes = field(default=b"", repr=False)
    seen_through: SeenThrough | None = field(default=None, repr=False)


def decode(
    data: bytes | BinaryIO,
    *,
    longest_px: int,
    format: str | None = None,
    max_pixels: int = MAX_PIXELS,
    with_digest: bool = False,
    jpeg_header: jpeg.JpegHeader | None = None,
) -> Decoded:
    """Decode a picture with its longer side at most `longest_px`.

    Parameters
    ----------
    data : bytes or binary file
        The whole file, or one to read it from.
    longest_px : int
        Larger pictures are shrunk (area mean), smaller ones kept as they are.
    format : str, optional
        What `sniff` said; sniffed here if not given.
    max_pixels : int
        Pictures of more are refused by their header, before any memory is spent on them.
    with_digest : bool
        Digest the pixels, too, if all of them are decoded and held anyway: never of a JPEG, of which a
        reduction is decoded.
    jpeg_header : JpegHeader, optional
        Header of a JPEG, if it has been read already.

    Raises
    ------
    NotAnImageError, DecodeError, TooLargeError, MissingExtraError
    """
    format = format or sniff(_head(data))
    if format is None:
        raise NotAnImageError
    if format == "jpeg":
        data = data if isinstance(data, bytes) else data.read()
        return _decode_jpeg(data, jpeg_header or jpeg.read_jpeg_header(data), longest_px, max_pixels)
    if format == "raw" or (format == "tiff" and raw.is_raw_tiff(_head(data, _MOST_HEAD_BYTES))):
        return _decode_raw(data, longest_px, max_pixels)
    try:
        return _decode_by_pillow(data, format, longest_px, max_pixels, with_digest)
    except DecodeError:
        second = _decode_by_opencv(data, format, longest_px, max_pixels)
        if second is None:
            raise
        return second


def decode_full(data: bytes | BinaryIO, *, format: str | None = None, max_pixels: int = MAX_PIXELS) -> RGB:
    """Decode a picture at its full size: (h, w, 3) uint8, as it is meant to be seen. Raises like `decode`."""
    return decode(data, longest_px=_UNSHRUNK_PX, format=format, max_pixels=max_pixels).rgb


def pixel_digest(data: bytes | BinaryIO, *, format: str | None = None, max_pixels: int = MAX_PIXELS) -> str:
    """SHA-256 of size and pixels: equal for two files that show the same pixels. Raises like `decode`."""
    decoded = decode(data, longest_px=_UNSHRUNK_PX, format=format, max_pixels=max_pixels, with_digest=True)
    return decoded.pixel_digest or digest_of(decoded.rgb)


def edge_digests(rgb: RGB) -> bytes:
    """Digests of the `EDGE_ROWS_PX` rows or columns at the top, bottom, left and right, after each other.

    Two pictures of one size of which one differs are not equal; photographs nearly always do there.
    """
    edges = (rgb[:EDGE_ROWS_PX], rgb[-EDGE_ROWS_PX:], rgb[:, :EDGE_ROWS_PX], rgb[:, -EDGE_ROWS_PX:])
    return b"".join(map(_edge_digest, edges))


def jpeg_edge_digests(data: bytes) -> bytes:
    """Those of `edge_digests` that a JPEG has without being decoded whole, or zeros."""
    digests = [bytes(EDGE_DIGEST_BYTES)] * 4
    try:
        header = jpeg.read_jpeg_header(data)
    except DecodeError:
        return b"".join(digests)
    top = jpeg.decode_top(data, header, EDGE_ROWS_PX)
    if top is not None:
        orientation = header.exif.orientation
        digests[_EDGE_OF_TOP[orientation]] = _edge_digest(orient(top, orientation))
    return b"".join(digests)


_EDGE_OF_TOP = {1: 0, 2: 0, 3: 1, 4: 1, 5: 2, 6: 3, 7: 3, 8: 2}
"""Which edge of the picture the first stored rows are, by EXIF orientation."""


def _edge_digest(rgb: RGB) -> bytes:
    return bytes.fromhex(digest_of(np.ascontiguousarray(rgb)))[:EDGE_DIGEST_BYTES]


def digest_of(rgb: RGB, alpha: Gray | None = None) -> str:
    """SHA-256 of size and pixels, hexadecimal.

    Of what shows nothing on white the alpha, (h, w) uint8, is digested as well: it is all there is to see.
    """
    digest = hashlib.sha256(f"{rgb.shape[1]}x{rgb.shape[0]}:".encode())
    digest.update(rgb.data)
    if alpha is not None and (rgb == rgb[0, 0]).all():
        digest.update(alpha.data)
    return digest.hexdigest()


def _head(data: bytes | BinaryIO, n_bytes: int = HEAD_BYTES) -> bytes:
    if isinstance(data, bytes):
        return data[:n_bytes]
    head = data.read(n_bytes)
    data.seek(0)
    return head


def _decode_jpeg(data: bytes, header: jpeg.JpegHeader, longest_px: int, max_pixels: int) -> Decoded:
    size = (header.width_px, header.height_px)
    check_size(size, max_pixels)
    reduction = jpeg.reduction_for(*size, longest_px)
    try:
        rgb, damaged = jpeg.decode_jpeg(data, header, reduction)
        rgb = resize(rgb, *fit(rgb.shape[1], rgb.shape[0], longest_px))
    except MemoryError as exc:
        raise TooLargeError(f"{size[0]} x {size[1]} pixels need more memory than there is") from exc
    except DecodeError:
        try:
            rgb = pillow.read_odd_jpeg(data, reduction, longest_px)
        except DecodeError:
            rgb = None
        if rgb is None:
            raise
        damaged = True
    return _upright(rgb, size, "jpeg", damaged, header.exif)


def _decode_by_pillow(
    data: bytes | BinaryIO, format: str, longest_px: int, max_pixels: int, with_digest: bool
) -> Decoded:
    if format == "jxl" and (size := peek_size(_head(data, _MOST_HEAD_BYTES), format)) is not None:
        check_size(size, max_pixels)  # its reader decodes as it opens the file
    picture = pillow.open_picture(data, format)
    check_size(picture.size, max_pixels)
    is_whole = pillow.is_held_whole(picture)
    plain = plain_pixels(data, picture) if is_whole and isinstance(data, bytes) else None
    if plain is not None:
        rgb, exif, damaged = plain, pillow.read_exif(picture), False
    else:
        rgb, exif, damaged = pillow.read_pixels(picture, max(picture.size) if is_whole else longest_px)
    small = resize(rgb, *fit(*picture.size, longest_px))
    decoded = _upright(small, picture.size, format, damaged, exif)
    is_shrunk, is_digested = longest_px < _UNSHRUNK_PX, with_digest and is_whole
    alpha = pillow.read_alpha(picture) if plain is None and (is_shrunk or is_digested) else None
    if is_shrunk and alpha is not None:
        size = small.shape[1], small.shape[0]
        through = pillow.seen_through(picture, alpha, size, exif.orientation)
        decoded = replace(decoded, seen_through=through)
    if not is_digested:
        return decoded
    seen = orient(rgb, exif.orientation)
    # Hardly any other file has the pixels of a lossy one: they are digested when the edges are another's.
    if format == "webp" and is_shrunk:
        return replace(decoded, edges=edge_digests(seen))
    upright = None if alpha is None else orient(np.asarray(alpha, np.uint8), exif.orientation)
    digest = digest_of(seen, upright)
    return replace(decoded, pixel_digest=digest, edges=edge_digests(seen))


def _decode_raw(data: bytes | BinaryIO, longest_px: int, max_pixels: int) -> Decoded:
    if longest_px >= _UNSHRUNK_PX:
        raise DecodeError(raw.NO_PIXELS)
    found = raw.read_raw(data, longest_px, max_pixels)
    rgb = resize(found.rgb, *fit(found.rgb.shape[1], found.rgb.shape[0], longest_px))
    decoded = _upright(rgb, found.size, "raw", found.damaged, found.exif)
    return replace(decoded, width_px=found.size[0], height_px=found.size[1])


def _decode_by_opencv(
    data: bytes | BinaryIO, format: str, longest_px: int, max_pixels: int
) -> Decoded | None:
    """A second opinion on what Pillow refuses; `damaged`, since one of the two says that it is."""
    if not isinstance(data, bytes):
        return None
    size = peek_size(data, format)
    if size is None or size[0] * size[1] > max_pixels:  # known before memory is spent
        return None
    try:
        full = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    except (cv2.error, MemoryError):
        return None
    if full is None or (full == full[0, 0]).all():
        return None
    height_px, width_px = full.shape[:2]
    rgb = resize(np.asarray(full, np.uint8), *fit(width_px, height_px, longest_px))
    return Decoded(rgb, width_px, height_px, format, damaged=True)


def _upright(rgb: RGB, size: tuple[int, int], format: str, damaged: bool, exif: Exif) -> Decoded:
    # Turned when small: the same pixels, a fraction of the work.
    width_px, height_px = reversed(size) if swaps_sides(exif.orientation) else size
    seen = orient(rgb, exif.orientation)
    return Decoded(seen, width_px, height_px, format, damaged, exif.taken_at, exif.has_gps, exif=exif.block)


def check_size(size: tuple[int, int], max_pixels: int) -> None:
    """Refuse a picture without pixels, or of too many: `DecodeError`, `TooLargeError`."""
    width_px, height_px = size
    if width_px <= 0 or height_px <= 0:
        raise DecodeError("a picture without width or height")
    if width_px * height_px > max_pixels:
        raise TooLargeError(
            f"{width_px} x {height_px} pixels are more than the limit of {max_pixels // 1_000_000} megapixels"
        )
