"""Whether a picture shows more than a smaller copy of it, for all its pixels: it may have been enlarged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from cvsim.proof.detail import fineness_in
from cvsim.proof.encoding import encoded_again
from cvsim.proof.grids import INVERSE, luma, turned
from cvsim.proof.residual import GRID_PX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from cvsim.proof.encoding import JpegCoding
    from cvsim.proof.picture import ProofPicture

    Pixels = NDArray[np.uint8]
    Plane = NDArray[np.float32]

MORE_PIXELS = 1.1
"""Times the other one's pixels, from which one is the larger picture."""
LEAST_FINENESS_ENLARGED = 0.9
"""Fine detail of the enlarged small picture over that of the large one. Of 7 photographs of
metadata-extractor-images, enlarged 1.3 to 3 times by three filters, it was at least 0.99; of these reduced to
0.25 to 0.75 times at most 0.79, of 3 of 12 megapixels at most 0.73. Tried on other photographs of that set by
`benchmarks/proof.py`, and on the enlarged ones of another maker of changed pictures."""
_WINDOW_PX, _WINDOWS_ACROSS = 128, 3


def shows_no_more(large: ProofPicture, small: ProofPicture, orientation: int) -> bool:
    """Whether all the fine detail of `large` is what enlarging `small` gives.

    Then one cannot tell the picture that was enlarged from a soft one that was reduced. Asked in a few
    windows, with the encoder of the larger picture, as far as it is known.

    Parameters
    ----------
    large, small : ProofPicture
        Of one content; the smaller one is explained by the larger one.
    orientation : int
        That turns `large` as `small` is shown (see `cvsim.features.orientation`).
    """
    shown = turned(large.rgb, large.stored_as)
    source = turned(turned(small.rgb, INVERSE[orientation]), large.stored_as)
    return fineness_in(_pairs(shown, source, large.jpeg)) > LEAST_FINENESS_ENLARGED


def _pairs(shown: Pixels, source: Pixels, coding: JpegCoding | None) -> Iterator[tuple[Plane, Plane]]:
    """Windows of what the encoder would have made of the enlarged picture, and of the large one: luma."""
    for top, left, bottom, right in _windows(*shown.shape[:2]):
        enlarged = _part(source, shown.shape[:2], top, left, bottom, right)
        if coding is not None and coding.is_simulable:
            enlarged = encoded_again(enlarged, coding)
        window = np.ascontiguousarray(shown[top:bottom, left:right])
        yield luma(enlarged).astype(np.float32), luma(window).astype(np.float32)


def _windows(h: int, w: int) -> list[tuple[int, int, int, int]]:
    """Top, left, bottom and right of windows spread over the picture, on the grid of a JPEG's blocks."""
    rows, columns = (_spread(side) for side in (h, w))
    return [(y, x, min(h, y + _WINDOW_PX), min(w, x + _WINDOW_PX)) for y in rows for x in columns]


def _spread(side: int) -> list[int]:
    n = min(_WINDOWS_ACROSS, -(-side // (2 * _WINDOW_PX)))
    return [max(0, side - _WINDOW_PX) * (2 * i + 1) // (2 * n) // GRID_PX * GRID_PX for i in range(n)]


def _part(small: Pixels, size: tuple[int, ...], top: int, left: int, bottom: int, right: int) -> Pixels:
    """That part of `small` as it is when enlarged to `size` (height, width)."""
    down, across = small.shape[0] / size[0], small.shape[1] / size[1]
    box = left * across, top * down, right * across, bottom * down
    # What the filter reaches is cut out first: a picture is copied whole otherwise.
    y, x = max(0, int(box[1]) - 4), max(0, int(box[0]) - 4)
    near = small[y : int(np.ceil(box[3])) + 4, x : int(np.ceil(box[2])) + 4]
    box = box[0] - x, box[1] - y, box[2] - x, box[3] - y
    picture = Image.fromarray(np.ascontiguousarray(near))
    return np.asarray(picture.resize((right - left, bottom - top), Image.Resampling.LANCZOS, box=box))
