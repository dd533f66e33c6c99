"""A picture at full resolution, with what its file says about how it was encoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cvsim.images.decode import decode_full
from cvsim.images.jpeg import read_jpeg_header
from cvsim.images.sniff import sniff
from cvsim.proof.encoding import JpegCoding, read_jpeg_coding

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_COLORS = 256
"""Of a palette."""
_EXIF_TO_STORED = {1: 0, 2: 1, 3: 3, 4: 2, 5: 4, 6: 5, 7: 7, 8: 6}
_COLOR_SAMPLE = 4096
_PALETTE_FORMATS = frozenset(("gif", "png", "bmp", "tiff", "pnm", "tga", "ico", "webp"))
_WEBP_HEAD_BYTES = 4096
_MOST_GRAYS = 64
"""A picture of more grey levels than that, and no colours, is a plain grey one."""


@dataclass(frozen=True, slots=True)
class ProofPicture:
    """What a proof looks at.

    Transparency is the caller's: compare alpha exactly, or pass the picture as it looks on one ground.

    Attributes
    ----------
    rgb : (H, W, 3) uint8
        As it is shown (upright), at full resolution.
    format : str
        As sniffed: ``"jpeg"``, ``"png"``, ``"gif"``, ``"webp"``, ...
    jpeg : JpegCoding or None
        Quantisation tables and sampling of a JPEG, in the order its pixels are stored.
    n_colors : int or None
        Of a picture that was quantised to at most 256 colours; None: it has more.
    stored_as : int
        Orientation (0 to 7, see `cvsim.features.orientation`) that turns `rgb` into the order in which the
        file stores it: a JPEG's blocks lie in that order.
    """

    rgb: NDArray[np.uint8]
    format: str
    jpeg: JpegCoding | None = None
    n_colors: int | None = None
    stored_as: int = 0


def proof_picture(
    data: bytes, *, rgb: NDArray[np.uint8] | None = None, format: str | None = None
) -> ProofPicture:
    """Decode a file's bytes, and read what its header says about its encoding.

    Parameters
    ----------
    data : bytes
        The whole file.
    rgb : (H, W, 3) uint8, optional
        Its pixels as they are shown, where the caller has decoded them already.
    format : str, optional
        What `sniff` said; sniffed here if not given.

    Raises
    ------
    NotAnImageError, DecodeError, TooLargeError, MissingExtraError
        As `cvsim.images.decode.decode_full`.
    """
    name = format or sniff(data) or "unknown"
    pixels = decode_full(data, format=format) if rgb is None else rgb
    coding, stored_as = None, 0
    if name == "jpeg":
        stored_as = _EXIF_TO_STORED.get(read_jpeg_header(data).exif.orientation, 0)
        coding = read_jpeg_coding(data)
    n_colors = count_palette(pixels) if _stores_exactly(data, name) else None
    return ProofPicture(pixels, name, coding, n_colors, stored_as)


def _stores_exactly(data: bytes, name: str) -> bool:
    """Whether few colours in the pixels are few colours in the file: a lossy encoder makes them by chance."""
    return name in _PALETTE_FORMATS and (name != "webp" or b"VP8L" in data[:_WEBP_HEAD_BYTES])


def count_palette(rgb: NDArray[np.uint8]) -> int | None:
    """Number of colours of (H, W, 3) uint8 pixels, or None if no palette made them."""
    pixels = rgb.reshape(-1, 3)
    step = max(1, len(pixels) // _COLOR_SAMPLE)
    if len(np.unique(_packed(pixels[::step]))) > MOST_COLORS:
        return None
    seen: NDArray[np.uint32] = np.empty(0, np.uint32)
    for start in range(0, len(pixels), 1 << 20):
        seen = np.union1d(seen, np.unique(_packed(pixels[start : start + (1 << 20)])))
        if len(seen) > MOST_COLORS:
            return None
    is_gray = bool(np.all(seen >> 8 == (seen & 255) * 257))
    return None if is_gray and len(seen) > _MOST_GRAYS else len(seen)


def _packed(pixels: NDArray[np.uint8]) -> NDArray[np.uint32]:
    wide = pixels.astype(np.uint32)
    return np.asarray(wide[:, 0] << 16 | wide[:, 1] << 8 | wide[:, 2], np.uint32)
