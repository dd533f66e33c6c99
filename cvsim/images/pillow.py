"""Every format by Pillow; of JPEG only what libjpeg-turbo's own interface refuses.

Decoders of these formats can hang, crash or ask for all memory there is: a batch runs them in a child
process (see `cvsim.executors`).
"""

from __future__ import annotations

import importlib
import io
import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO

import cv2
import numpy as np
from PIL import Image

from cvsim.errors import DecodeError, MissingExtraError, TooLargeError
from cvsim.images.exif import Exif, parse_exif
from cvsim.images.formats import FORMAT_TABLE
from cvsim.images.raster import fit, orient, resize
from cvsim.images.raw import NO_PIXELS
from cvsim.types import SeenThrough

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

    from cvsim.types import RGB, Gray

_TIFF_ORIENTATION = 274
_OTHER_NAMES = {"ppm": "pnm", "heif": "heic"}
"""Of Pillow's names, those that are not the table's in lower case."""
_BAND_PIXELS = 6 << 20  # chosen by hand: what is held beside the decoder's own memory
_MOST_BAND_ROWS = 512  # a narrow band must not make a large matrix of weights
OPAQUE_ALPHA = 255
ALPHA_MODES = frozenset(("RGBA", "RGBa", "LA", "La", "PA"))
"""Pillow's modes that have a channel of transparency."""


def open_picture(data: bytes | BinaryIO, format: str) -> ImageFile:
    """Read the header.

    Raises
    ------
    DecodeError
        The header makes no sense.
    MissingExtraError
        The format needs an extra that is not installed.
    """
    reader = _reader(format)
    stream = io.BytesIO(data) if isinstance(data, bytes) else data
    try:
        picture: ImageFile = reader(stream)
    except Exception as exc:
        raise mapped(exc, format) from exc
    return picture


def read_pixels(picture: ImageFile, longest_px: int) -> tuple[RGB, Exif, bool]:
    """Decode the first frame with its longer side at most `longest_px`, as stored.

    Returns
    -------
    rgb : (h, w, 3) uint8
        Transparent parts are shown on white, as pages and viewers do: two files that look the same there
        are the same picture. Depths above 8 bits are cut to 8; floats are stretched to their range.
    exif : Exif
        With the orientation that remains to be applied.
    damaged : bool
        The data end early or are corrupt.

    Raises
    ------
    DecodeError, TooLargeError
    """
    format = str(picture.format).lower()
    orientation = _tiff_orientation(picture)
    damage = _load(picture)
    try:
        rgb = _shrink(picture, longest_px)
    except Exception as exc:
        raise mapped(exc, format) from exc
    exif = read_exif(picture)
    if damage is not None and rgb.shape[0] * rgb.shape[1] > 1 and (rgb == rgb[0, 0]).all():
        raise mapped(damage, format) from damage
    if orientation is not None:
        # Pillow turns a TIFF as it loads it and then forgets the tag, unless loading was cut short.
        left = orientation if _tiff_orientation(picture) is not None else 1
        exif = replace(exif, orientation=left)
    return rgb, exif, damage is not None


def read_alpha(picture: Image.Image) -> Image.Image | None:
    """How opaque a picture is that has been decoded, as stored; None if it is everywhere.

    None, too, of a very large one of few colours: it would have to be held once more, in four bytes a pixel.

    Raises
    ------
    DecodeError, TooLargeError
    """
    is_listed = picture.mode == "PA" or (
        "transparency" in picture.info and picture.mode in ("1", "P", "L", "RGB")
    )
    try:
        if is_listed:
            alpha = picture.convert("RGBA").getchannel("A") if is_held_whole(picture) else None
        elif picture.mode in ALPHA_MODES:
            alpha = picture.getchannel(picture.getbands()[-1])
        else:
            return None
    except Exception as exc:
        raise mapped(exc, picture.format or "image") from exc
    return None if alpha is None or alpha.getextrema()[0] == OPAQUE_ALPHA else alpha


def seen_through(
    picture: Image.Image, alpha: Image.Image, size: tuple[int, int], orientation: int
) -> SeenThrough:
    """Alpha and bare colours of a decoded picture with transparency, shrunk to `size`, then turned upright.

    Raises
    ------
    DecodeError, TooLargeError
    """
    try:
        if picture.mode in ("P", "PA"):
            picture = picture.convert("RGBA")
        names = [name for name in picture.getbands() if name not in "Aa"]
        # A channel at a time: a large picture must not be held once more.
        shown = [_shrunk_band(picture.getchannel(name), size) for name in names]
        bare = np.dstack(shown if len(shown) == 3 else shown[:1] * 3)
        return SeenThrough(orient(_shrunk_band(alpha, size), orientation), orient(bare, orientation))
    except Exception as exc:
        raise mapped(exc, picture.format or "image") from exc


def _shrunk_band(band: Image.Image, size: tuple[int, int]) -> Gray:
    """One channel, shrunk as `_shrink` does it to all."""
    if is_held_whole(band):
        return resize(np.asarray(band, np.uint8), *size)
    return np.asarray(band.resize(size, Image.Resampling.BOX), np.uint8)


def read_exif(picture: ImageFile) -> Exif:
    """The EXIF block that was found up to now: before the pixels are decoded, that of the header.

    Raises
    ------
    DecodeError
    """
    try:
        exif = parse_exif(picture.info.get("exif") or b"")
    except Exception as exc:
        raise mapped(exc, str(picture.format)) from exc
    # JPEG XL has an orientation of its own, which is applied; a JPEG packed into it has that of its EXIF.
    return exif if getattr(picture, "jpeg", True) else replace(exif, orientation=1)


def convert_picture(picture: Image.Image, longest_px: int) -> tuple[RGB, Exif]:
    """Shrink and convert a caller's Pillow image, whatever its mode; see `read_pixels`.

    Raises
    ------
    DecodeError, TooLargeError
    """
    try:
        picture.load()
        return _shrink(picture, longest_px), parse_exif(picture.info.get("exif") or b"")
    except Exception as exc:
        raise mapped(exc, picture.format or "image") from exc


def read_odd_jpeg(data: bytes, reduction: int, longest_px: int) -> RGB:
    """Decode a JPEG (odd sampling, odd colour transform), its longer side at most `longest_px`, as stored.

    Raises
    ------
    DecodeError
        Pillow does not decode it either, or not to its end.
    """
    picture = open_picture(data, "jpeg")
    picture.draft(None, (-(-picture.width // reduction), -(-picture.height // reduction)))
    try:
        picture.load()
        return resize(_to_rgb(picture, (0.0, 255.0)), *fit(*picture.size, longest_px))
    except Exception as exc:
        raise mapped(exc, "jpeg") from exc


def _reader(format: str) -> Any:
    """The one reader that fits the content, rather than Image.open.

    That tries others too, and its check against bombs is a global setting of the calling program, which is
    not ours to change.
    """
    entry = FORMAT_TABLE[format]
    if entry.decoder == "rawpy":
        raise DecodeError(NO_PIXELS)
    module, name = entry.plugin
    try:
        plugin = importlib.import_module(module)
    except ImportError as exc:
        if entry.extra:
            raise MissingExtraError(f"{entry.label} files", entry.extra) from exc
        raise
    _start_no_threads(format)
    return getattr(plugin, name)


def _start_no_threads(format: str) -> None:
    """Tell a decoder to work in this thread alone.

    Each of its own would map 64 MB and more, which count against the limit of a child (a phone's HEIC of 12
    megapixels, in tiles: 640 MB instead of 170), and there is a child a core.
    """
    if format == "jxl":
        options: Any = importlib.import_module("pillow_jxl.JpegXLImagePlugin")
        options.DECODE_THREADS = 0
    elif format == "heic":
        options = importlib.import_module("pillow_heif.options")
        options.DECODE_THREADS = 0
    elif format == "avif":
        options = importlib.import_module("PIL.AvifImagePlugin")
        options.DEFAULT_MAX_THREADS = 1


def _load(picture: ImageFile) -> Exception | None:
    """Decode; return what went wrong if a part of the picture is there all the same."""
    if picture.format == "TIFF" and hasattr(picture, "_tile_size"):
        # Its reader would ask Pillow's limit for bombs, which is a global setting of the calling program. How
        # large a picture may be is decided before it comes here.
        try:
            picture.im = Image.core.new(picture.mode, picture._tile_size)  # type: ignore[attr-defined]
        except MemoryError as exc:
            raise mapped(exc, "tiff") from exc
    try:
        picture.load()
    except MemoryError as exc:
        raise mapped(exc, str(picture.format)) from exc
    except Exception as exc:
        # Rows decoded before the error are in place; without tiles left to read, they are the picture.
        picture.tile = []
        try:
            picture.getpixel((0, 0))
        except Exception:
            raise mapped(exc, str(picture.format)) from exc
        return exc
    return None


def is_held_whole(picture: Image.Image) -> bool:
    """Whether the picture is converted in one go, before it is shrunk; a larger one band by band."""
    return picture.width * picture.height <= _BAND_PIXELS


def _shrink(picture: Image.Image, longest_px: int) -> RGB:
    """Convert and take the area mean, band by band, so that the only raster of full size is Pillow's own."""
    width_px, height_px = picture.size
    target_width, target_height = target = fit(width_px, height_px, longest_px)
    stretch = _value_range(picture)
    if is_held_whole(picture):
        return resize(_to_rgb(picture, stretch), *target)
    n_rows = min(max(1, _BAND_PIXELS // width_px), _MOST_BAND_ROWS)
    if target == picture.size:
        rgb = np.empty((height_px, width_px, 3), np.uint8)
        for top in range(0, height_px, n_rows):
            rgb[top : top + n_rows] = _to_rgb(_rows(picture, top, n_rows), stretch)
        return rgb
    sums = np.zeros((target_height, target_width * 3), np.float32)
    for top in range(0, height_px, n_rows):
        band = _to_rgb(_rows(picture, top, n_rows), stretch)
        narrow = resize(band, target_width, band.shape[0]).reshape(band.shape[0], -1)
        first, weights = _row_weights(top, band.shape[0], height_px, target_height)
        sums[first : first + len(weights)] += weights @ narrow.astype(np.float32)
    return np.rint(sums).astype(np.uint8).reshape(target_height, target_width, 3)


def _rows(picture: Image.Image, top: int, n_rows: int) -> Image.Image:
    return picture.crop((0, top, picture.width, min(top + n_rows, picture.height)))


def _row_weights(top: int, n_rows: int, height_px: int, target_height: int) -> tuple[int, np.ndarray]:
    """The share that rows ``top`` to ``top + n_rows`` have in the rows of the target they fall into.

    Returns
    -------
    first : int
        Row of the target that the first row of the weights is for.
    weights : (n_target_rows, n_rows) float32
    """
    scale = height_px / target_height
    first = int(top / scale)
    last = min(target_height, int(np.ceil((top + n_rows) / scale)))
    edges = np.arange(first, last + 1)[:, None] * scale
    rows = np.arange(top, top + n_rows)[None, :]
    overlap = np.minimum(rows + 1, edges[1:]) - np.maximum(rows, edges[:-1])
    return first, (overlap.clip(0) / scale).astype(np.float32)


def _value_range(picture: Image.Image) -> tuple[float, float]:
    """The values that become black and white, for modes whose range is not fixed."""
    if picture.mode.startswith("I;16"):
        return 0.0, _full_scale(picture)
    if picture.mode not in ("I", "F"):
        return 0.0, 65535.0
    low, high = (float(value) for value in picture.getextrema())  # type: ignore[arg-type]
    if low >= 0:
        for usual in (1.0, 255.0, 65535.0) if picture.mode == "F" else (255.0, 65535.0):
            if high <= usual:
                return 0.0, usual
    return low, high


def _full_scale(picture: Image.Image) -> float:
    """White of a grey picture of 16 bits: sensors and scanners write 10, 12 or 14 bits into them."""
    high = float(picture.getextrema()[1])  # type: ignore[arg-type]
    return next((white for white in (1023.0, 4095.0, 16383.0) if 255 < high <= white), 65535.0)


def _to_rgb(band: Image.Image, value_range: tuple[float, float]) -> RGB:
    mode = band.mode
    if mode in ("I", "F") or mode.startswith("I;16"):
        return _stretched(np.asarray(band), value_range)
    if mode in ALPHA_MODES or "transparency" in band.info:
        rgba = np.asarray(band.convert("RGBA"))
        alpha = rgba[..., 3:].astype(np.uint16)
        ink = (255 - rgba[..., :3]).astype(np.uint16)
        return (255 - (ink * alpha + 127) // 255).astype(np.uint8)
    if mode == "LAB":  # Pillow keeps a and b signed, OpenCV adds 128
        lab = np.bitwise_xor(np.asarray(band, np.uint8), np.array([0, 128, 128], np.uint8))
        return np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), np.uint8)
    return np.asarray(band if mode == "RGB" else band.convert("RGB"), np.uint8)


def _stretched(values: np.ndarray, value_range: tuple[float, float]) -> RGB:
    low, high = value_range
    with np.errstate(invalid="ignore", over="ignore"):
        if (low, high) == (0.0, 65535.0):
            gray = values.astype(np.float64) // 256  # the high byte, as a colour of 16 bits is cut too
        else:
            gray = (values.astype(np.float64) - low) * (255.0 / max(high - low, 1e-30))
    gray = np.nan_to_num(gray, nan=0.0).clip(0, 255).astype(np.uint8)
    return np.repeat(gray[..., None], 3, axis=2)


def _tiff_orientation(picture: ImageFile) -> int | None:
    tags = getattr(picture, "tag_v2", None)
    value = tags.get(_TIFF_ORIENTATION) if tags is not None else None
    return value if isinstance(value, int) and 1 <= value <= 8 else None


def mapped(exc: Exception, format: str) -> DecodeError | TooLargeError:
    """The error in our words: decoders raise OSError, ValueError, SyntaxError, struct.error, EOFError, ..."""
    name = _OTHER_NAMES.get(format.lower(), format.lower())
    label = FORMAT_TABLE[name].label if name in FORMAT_TABLE else format.upper()
    message = str(exc).strip().splitlines()[0] if str(exc).strip() else type(exc).__name__
    if isinstance(exc, MemoryError | Image.DecompressionBombError) or "Memory allocation error" in message:
        return TooLargeError(f"decoding this {label} needs more memory than is allowed")
    if (
        "could not create decoder" in message
    ):  # libwebp says no more than that, also where memory was too little
        return DecodeError(f"the decoder could not begin: a corrupt {label}, or there is too little memory")
    if "truncated" in message.lower() or isinstance(exc, EOFError):
        return DecodeError(f"truncated {label}: it ends before the picture does")
    says_nothing = isinstance(exc, LookupError | struct.error | TypeError | ArithmeticError)
    if says_nothing or "decoder error" in message or "Generic Error" in message or message.isdigit():
        return DecodeError(f"corrupt {label}: its structure makes no sense")
    return DecodeError(f"corrupt or unsupported {label}: {message}")
