"""What the Python interface takes as a picture: a path, an encoded image, an array, or a Pillow image."""

from __future__ import annotations

import io
import os
from typing import IO, TYPE_CHECKING, TypeGuard

import numpy as np
from PIL import Image

from cvsim.errors import UsageError
from cvsim.images import pillow
from cvsim.images.decode import MAX_PIXELS, Decoded, digest_of
from cvsim.images.encoded import encoded_content, read_content
from cvsim.images.raster import fit, orient, resize, swaps_sides

if TYPE_CHECKING:
    from cvsim.types import RGB

ImageSource = str | os.PathLike[str] | bytes | IO[bytes] | np.ndarray | Image.Image
"""Bytes are the content of an image file, never its name; so is what can be read from a binary file."""


def is_encoded(source: ImageSource) -> TypeGuard[bytes | IO[bytes]]:
    """Whether a picture is given as the content of an image file."""
    return isinstance(source, (bytes, io.IOBase)) or (
        hasattr(source, "read") and not isinstance(source, (np.ndarray, Image.Image))
    )


def content_bytes(source: bytes | IO[bytes]) -> bytes:
    """The content, from the beginning of a file that can be rewound.

    Raises
    ------
    UsageError
        A file that gives text.
    """
    if isinstance(source, bytes):
        return source
    if source.seekable():
        source.seek(0)
    data = source.read()
    if not isinstance(data, bytes):
        raise UsageError("an image file must be opened in binary mode: open(path, 'rb')")
    return data


def in_memory(source: ImageSource) -> ImageSource:
    """The source as one that can be read more than once: a binary file becomes its bytes."""
    return content_bytes(source) if is_encoded(source) else source


def decode_source(source: ImageSource, *, longest_px: int, max_pixels: int = MAX_PIXELS) -> Decoded:
    """Decode any of the kinds of picture that the Python interface takes.

    Parameters
    ----------
    source : path, bytes, binary file, (h, w, 3) uint8 array, or Pillow image
        A file is decoded in this process, whatever its format; for files that are not trusted there are
        the executors. The format of an array is ``"array"``.
    longest_px : int
        Larger pictures are shrunk so that the longer side is this.
    max_pixels : int
        See `cvsim.images.decode.decode`.

    Raises
    ------
    UsageError
        An array of another shape or type: the range of its values is not guessed.
    ImageError
        See `cvsim.images.decode.decode`.
    """
    if isinstance(source, np.ndarray):
        return _decode_array(source, longest_px)
    if isinstance(source, Image.Image):
        return _decode_picture(source, longest_px)
    if is_encoded(source):
        content = encoded_content(content_bytes(source))
        return content.decode(longest_px=longest_px, max_pixels=max_pixels)
    if not isinstance(source, (str, os.PathLike)):
        raise UsageError(
            f"{type(source).__name__} is no picture: give a path, bytes, an array or a Pillow image"
        )
    return read_content(os.fspath(source)).decode(longest_px=longest_px, max_pixels=max_pixels)


def source_pixel_digest(source: ImageSource) -> str:
    """Digest of all pixels at full size: the one that `decode.pixel_digest` gives a file of them."""
    if is_encoded(source):
        return encoded_content(content_bytes(source)).pixel_digest()
    decoded = decode_source(source, longest_px=2**31)
    through = decoded.seen_through
    return digest_of(decoded.rgb, None if through is None else through.alpha)


def _decode_array(rgb: RGB, longest_px: int) -> Decoded:
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
        raise UsageError(f"an image array must be (H, W, 3) uint8 RGB, not {rgb.shape} {rgb.dtype}")
    height_px, width_px = rgb.shape[:2]
    small = resize(np.ascontiguousarray(rgb), *fit(width_px, height_px, longest_px))
    return Decoded(small, width_px, height_px, "array")


def _decode_picture(picture: Image.Image, longest_px: int) -> Decoded:
    rgb, exif = pillow.convert_picture(picture, longest_px)
    width_px, height_px = picture.size
    if swaps_sides(exif.orientation):
        width_px, height_px = height_px, width_px
    format = picture.format.lower() if picture.format else "array"
    seen, size = orient(rgb, exif.orientation), (rgb.shape[1], rgb.shape[0])
    alpha = pillow.read_alpha(picture)
    through = None if alpha is None else pillow.seen_through(picture, alpha, size, exif.orientation)
    return Decoded(
        seen,
        width_px,
        height_px,
        format,
        taken_at=exif.taken_at,
        has_gps=exif.has_gps,
        exif=exif.block,
        seen_through=through,
    )
