"""Camera raw files by LibRaw: the camera's own preview where it is large, else developed at half size.

What a raw file shows depends on who develops it. The pixels made here serve to find it, and prove nothing.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from cvsim.errors import DecodeError, MissingExtraError, TooLargeError
from cvsim.images import jpeg
from cvsim.images.exif import Exif, parse_exif
from cvsim.images.tiff import PIECES, SUB_IFDS, SUBFILE_KIND, Tiff

if TYPE_CHECKING:
    from cvsim.types import RGB

NO_PIXELS = "a camera's raw file has no pixels of its own before it is developed"
_DNG_VERSION = 50706
_LARGE_SHARE = 0.45
"""Of the longer side of the picture: what half-size development gives, and a little less."""
_PIXELS_PER_BYTE = 16
"""A file of fewer bytes has lost what the sensor saw: even a black frame takes a bit or so for each pixel,
and of missing data LibRaw makes black without a word. By hand; seen in test files of exiv2 and ExifTool."""
_MOST_EXIF_BYTES = 1 << 20
_DIRECTORIES_READ, _PIECES_READ = 64, 100_000
_MISCOUNTED = 0.01
"""Share of a strip that may be missing: cameras round."""
_READ_BEYOND_ITS_END = "Input/output error"
"""LibRaw's words; the file itself has been read by then."""
_ORIENTATION_OF_FLIP = {0: 1, 3: 3, 5: 8, 6: 6}
"""EXIF orientation, by LibRaw's number for how the camera was held."""


@dataclass(frozen=True, slots=True)
class RawPicture:
    """What a raw file shows.

    Attributes
    ----------
    rgb : (h, w, 3) uint8
        As stored.
    size : (int, int)
        Width and height of what the sensor saw, as it is meant to be seen.
    exif : Exif
        With the orientation that remains to be applied.
    damaged : bool
        The file ends before the sensor's data do, and a preview is left.
    """

    rgb: RGB
    size: tuple[int, int]
    exif: Exif
    damaged: bool = False


def is_raw_tiff(beginning: bytes) -> bool:
    """Whether what begins like a TIFF is a raw file: a DNG, or one whose first picture is a thumbnail."""
    tiff = Tiff.of(beginning)
    if tiff is None:
        return False
    first = tiff.first()
    return _DNG_VERSION in first.entries or (
        tiff.number(first, SUBFILE_KIND) == 1 and SUB_IFDS in first.entries
    )


def read_raw(data: bytes | BinaryIO, longest_px: int, max_pixels: int) -> RawPicture:
    """Decode the embedded preview, or develop the picture at half its size.

    Raises
    ------
    DecodeError, TooLargeError, MissingExtraError
    """
    try:
        import rawpy
    except ImportError as exc:
        raise MissingExtraError("camera RAW files", "raw") from exc
    stream = io.BytesIO(data) if isinstance(data, bytes) else data
    n_bytes = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    try:
        with rawpy.imread(stream) as opened:
            found = _read(opened, _exif(data), longest_px, max_pixels, n_bytes)
            return replace(found, damaged=_is_cut_off(_beginning(data), n_bytes))
    except (DecodeError, TooLargeError):
        raise
    except MemoryError as exc:
        raise TooLargeError("decoding this camera RAW needs more memory than is allowed") from exc
    except Exception as exc:  # LibRaw's errors, and what garbage makes of its numbers
        said = exc.args[0] if exc.args else type(exc).__name__
        words = said.decode("ascii", "replace") if isinstance(said, bytes) else str(said)
        if words == _READ_BEYOND_ITS_END:
            raise DecodeError("truncated camera RAW: it ends before the picture does") from exc
        raise DecodeError(f"corrupt or unsupported camera RAW: {words}") from exc


def _read(opened: Any, exif: Exif, longest_px: int, max_pixels: int, n_bytes: int) -> RawPicture:
    sizes = opened.sizes
    size = (int(sizes.width), int(sizes.height))
    if min(size) <= 0:
        raise DecodeError("a picture without width or height")
    if size[0] * size[1] > max_pixels:
        limit = max_pixels // 1_000_000
        raise TooLargeError(f"{size[0]} x {size[1]} pixels are more than the limit of {limit} megapixels")
    orientation = _ORIENTATION_OF_FLIP.get(int(sizes.flip), 1)
    seen = (size[1], size[0]) if orientation in (6, 8) else size
    preview = _preview(opened, min(longest_px, int(_LARGE_SHARE * max(size))), longest_px)
    if preview is not None:
        rgb, own = preview
        lies_as_the_sensor = (rgb.shape[1] >= rgb.shape[0]) == (size[0] >= size[1])
        left = own.orientation if own.orientation != 1 else orientation if lies_as_the_sensor else 1
        block = own.block if own.taken_at else exif.block
        has_gps = own.has_gps or exif.has_gps
        return RawPicture(rgb, seen, Exif(left, own.taken_at or exif.taken_at, has_gps, block))
    if size[0] * size[1] > _PIXELS_PER_BYTE * n_bytes:
        raise DecodeError("truncated camera RAW: it has no room for what the sensor saw")
    rgb = opened.postprocess(half_size=True, use_camera_wb=True, output_bps=8)  # it turns the picture
    return RawPicture(np.ascontiguousarray(rgb), seen, replace(exif, orientation=1))


def _preview(opened: Any, least_px: int, longest_px: int) -> tuple[RGB, Exif] | None:
    """The largest preview, as stored, if its longer side is long enough."""
    try:
        thumb = opened.extract_thumb()
    except MemoryError:
        raise
    except Exception:  # there is none, or one of a kind that LibRaw does not know
        return None
    if thumb.format.name == "BITMAP":
        rgb = np.ascontiguousarray(thumb.data, np.uint8)
        is_large = rgb.ndim == 3 and rgb.shape[2] == 3 and max(rgb.shape[:2]) >= least_px
        return (rgb, Exif()) if is_large else None
    if thumb.format.name != "JPEG":
        return None
    try:
        header = jpeg.read_jpeg_header(thumb.data)
        longer = max(header.width_px, header.height_px)
        if longer < least_px:
            return None
        rgb, damaged = jpeg.decode_jpeg(
            thumb.data, header, jpeg.reduction_for(header.width_px, header.height_px, longest_px)
        )
    except DecodeError:
        return None
    return None if damaged else (rgb, header.exif)


def _exif(data: bytes | BinaryIO) -> Exif:
    """Date and position of a raw file that is built like a TIFF."""
    if isinstance(data, bytes):
        return replace(parse_exif(data), block=data[:_MOST_EXIF_BYTES])
    return parse_exif(_beginning(data))


def _beginning(data: bytes | BinaryIO) -> bytes:
    if isinstance(data, bytes):
        return data
    data.seek(0)
    beginning = data.read(_MOST_EXIF_BYTES)
    data.seek(0)
    return beginning


def _is_cut_off(beginning: bytes, n_bytes: int) -> bool:
    """Whether a raw file that is built like a TIFF has pixels, by its directories, beyond its last byte."""
    tiff = Tiff.of(beginning)
    if tiff is None:
        return False
    pages = list(tiff.chain(tiff.first_offset, _DIRECTORIES_READ))
    pages += [sub for page in pages for sub in tiff.subs(page, _DIRECTORIES_READ)]
    pieces = (
        piece
        for page in pages
        for tags in PIECES
        for piece in zip(*(tiff.numbers(page, tag, _PIECES_READ) for tag in tags), strict=False)
    )
    return any(at + (1 - _MISCOUNTED) * count > n_bytes for at, count in pieces)
