"""Whether what a pair differs by in one place stands out from all else that it differs by.

Encoding and resampling leave much the same wherever a picture has edges: the largest differences of a pair
are many, and nearly equal. A comma in place of a point, or an 8 that was a 6, moves two pixels by no more
than such noise may, and stands alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from cvsim.proof.scan import VISIBLE, Spot, box

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Plane = NDArray[np.float32]

CELL_PX = 8
N_BEYOND = 8
"""Cells that a change may fill, in one place or two. Of 6, 8, 16 and 32; more of them find fewer changes for
as many copies that are refused."""
STANDS_OUT = 2.3
"""How many times the next of the cells beyond these the largest difference has to be."""
LEAST_STANDING_OUT = 7.0
"""And how many grey levels. Chosen with `STANDS_OUT` on 1,150 true copies (photographs, pages, charts, clip
art; some that stand out are sprites, two are captions), and on 240 with one or two characters of a caption
changed, in one font. Tried on 288 of each in five other fonts, on other pictures: of 15 changed ones that
were proved before 9 are left, and two true ones are no longer proved. With 2 more of both are found."""
_LEAST_NOISE = 3.0
"""Grey levels that are noise in any pair."""


class LargestDifferences:
    """The cells of `CELL_PX` x `CELL_PX` pixels in which the luma of a pair differs most."""

    def __init__(self) -> None:
        self._found = np.zeros((0, 3), np.float32)

    def add(self, residual: Plane, inner: tuple[slice, slice], left: int, top: int) -> None:
        """Look at the inner part of a residual; `left`, `top` is where that lies in the copy."""
        side = min(VISIBLE)
        size = cv2.absdiff(box(residual, side), 0)[inner]
        below, beside = (-length % CELL_PX for length in size.shape)
        size = cv2.copyMakeBorder(size, 0, below, 0, beside, cv2.BORDER_CONSTANT, value=0)
        n_columns = size.shape[1] // CELL_PX
        cells = size.reshape(-1, CELL_PX, n_columns, CELL_PX).max((1, 3)).ravel()
        most = np.argsort(-cells, kind="stable")[: N_BEYOND + 1]
        rows, columns = np.divmod(most, n_columns)
        new = np.stack([cells[most], left + columns * CELL_PX, top + rows * CELL_PX], axis=1)
        found = np.concatenate([self._found, new.astype(np.float32)])
        self._found = found[np.argsort(-found[:, 0], kind="stable")[: N_BEYOND + 1]]

    @property
    def margin(self) -> float:
        """1 or more if the largest one stands out."""
        return float(self._found[0, 0]) / self._limit if len(self._found) else 0.0

    @property
    def _limit(self) -> float:
        """From how many grey levels on a cell stands out."""
        beyond = self._found[N_BEYOND:, 0]
        noise = max(_LEAST_NOISE, float(beyond[0]) if len(beyond) else 0.0)
        return max(LEAST_STANDING_OUT, STANDS_OUT * noise)

    def spots(self) -> list[Spot]:
        """The cells that stand out."""
        limit = self._limit
        return [
            Spot(int(x), int(y), CELL_PX, CELL_PX, float(value) / limit)
            for value, x, y in self._found
            if float(value) >= limit
        ]
