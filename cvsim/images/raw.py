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
from cvsim.images.tiff import SUB_IFDS, SUBFILE_KIND, Tiff

if TYPE_CHECKING:
    from cvsim.types import RGB

_DNG_VERSION = 50706
_LARGE_SHARE = 0.45
"""Of the longer side of the picture: what half-size development gives, and a little less."""
_MOST_EXIF_BYTES = 1 << 20
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
    """

    rgb: RGB
    size: tuple[int, int]
    exif: Exif


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
    try:
        with rawpy.imread(stream) as opened:
            return _read(opened, _exif(data), longest_px, max_pixels)
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


def _read(opened: Any, exif: Exif, longest_px: int, max_pixels: int) -> RawPicture:
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
    data.seek(0)
    beginning = data.read(_MOST_EXIF_BYTES)
    data.seek(0)
    return parse_exif(beginning)
