"""What of a copy the kept picture leaves unexplained, tile by tile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import cv2
import numpy as np

from cvsim.proof.encoding import JpegCoding, encoded_again, outside_of_steps
from cvsim.proof.palette import explained_by_palette
from cvsim.proof.noise import shared_activity
from cvsim.proof.scan import MARGIN_PX, box

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]
    Plane = NDArray[np.float32]

TILE_PX = 1024
GRID_PX = 16
"""The largest unit a JPEG codes at once; tiles begin on it."""
_CHOICE_PX = 8
_ROUNDING = 1.0
_AS_FINE = 1.05
_DITHER_PX = 1.5
"""Blur that leaves little of what was diffused, and most of a mark of three pixels."""
"""What decoding to whole numbers moves a coefficient by, at most times."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A window of the copy, and the inner part of it that counts."""

    top: int
    left: int
    bottom: int
    right: int
    inner: tuple[slice, slice]
    """Rows and columns within the window."""


def tiles(height: int, width: int, side: int = TILE_PX) -> Iterator[Tile]:
    """Windows that cover a picture, each with a margin where there is one to have."""
    n_rows, n_columns = -(-height // side), -(-width // side)
    step_y = -(-height // n_rows // GRID_PX + 1) * GRID_PX if n_rows > 1 else height
    step_x = -(-width // n_columns // GRID_PX + 1) * GRID_PX if n_columns > 1 else width
    for y in range(0, height, step_y):
        for x in range(0, width, step_x):
            bottom, right = min(height, y + step_y), min(width, x + step_x)
            yield with_margin(y, x, bottom, right, height, width)


def with_margin(y: int, x: int, bottom: int, right: int, height: int, width: int) -> Tile:
    """The tile whose inner part is given."""
    top, left = max(0, y - MARGIN_PX), max(0, x - MARGIN_PX)
    inner = slice(y - top, bottom - top), slice(x - left, right - left)
    return Tile(top, left, min(height, bottom + MARGIN_PX), min(width, right + MARGIN_PX), inner)


@dataclass(frozen=True, slots=True)
class Residual:
    """Of one tile; chroma at half its size.

    Attributes
    ----------
    copy, kept : (h, w) float32
        Luma.
    luma : (h, w) float32
    chroma : pair of (h / 2, w / 2) float32
    active, chroma_active : float32
        Activity that both have, for luma and for each chroma.
    stricter : tuple of float32
        Luma, and both chromas where their blocks are known, without the forgiveness of quantisation: what one
        sees in the copy that its encoder would not have made of the kept picture.
    """

    copy: Plane
    kept: Plane
    luma: Plane
    chroma: tuple[Plane, Plane]
    active: Plane
    chroma_active: tuple[Plane, Plane]
    stricter: tuple[Plane, ...]

    def looks(self) -> list[tuple[str, Plane, Plane]]:
        """All residuals to look at: what it is of, the residual, the activity of the same size."""
        places = (self.active, *self.chroma_active)
        found = [*zip(("luma", "red", "blue"), (self.luma, *self.chroma), places, strict=True)]
        names = ("luma as encoded", "red as encoded", "blue as encoded")
        return found + [*zip(names, self.stricter, places, strict=False)]


class Explainer:
    """The copy, the kept picture on its grid, and the copy's encoder.

    Parameters
    ----------
    copy, kept : (H, W, 3) uint8
        Of one size, in the order in which the copy is stored.
    coding : JpegCoding or None
        The copy's, if it is a JPEG.
    kept_coding : JpegCoding or None
        The kept picture's, if it is a JPEG whose blocks lie where the copy's do.
    n_colors : int or None
        The copy's, if few.
    """

    def __init__(
        self,
        copy: Pixels,
        kept: Pixels,
        coding: JpegCoding | None,
        kept_coding: JpegCoding | None,
        n_colors: int | None,
    ) -> None:
        self.copy, self.kept, self._coding, self._n_colors = copy, kept, coding, n_colors
        self._half_steps = None if coding is None else _half_steps(coding, kept_coding)
        """Of luma, and of each chroma where its blocks are those of a plane of half size."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.copy.shape[0], self.copy.shape[1]

    @cached_property
    def _by_palette(self) -> tuple[tuple[Pixels, ...], bool]:
        return explained_by_palette(self.kept, self.copy) if self._n_colors else ((), False)

    def residual(self, tile: Tile) -> Residual:
        """What is left in a tile."""
        window = slice(tile.top, tile.bottom), slice(tile.left, tile.right)
        copy, kept = _planes(self.copy[window]), _planes(self.kept[window])
        pictures, is_dithered = self._by_palette
        simulated = [_planes(s[window]) for s in pictures]
        if self._coding is not None and self._coding.is_simulable:
            simulated.append(_planes(encoded_again(self.kept[window], self._coding)))
        return _residual(copy, kept, simulated, self._half_steps, is_dithered)


def _half_steps(coding: JpegCoding, kept: JpegCoding | None) -> list[Plane | None]:
    if kept is not None and float(kept.tables[0].mean()) > float(coding.tables[0].mean()) * _AS_FINE:
        kept = None  # the coarser one of the two must not explain its own losses
    found: list[Plane | None] = [None, None, None]
    for i, table in enumerate(coding.tables):
        if i and coding.sampling != (2, 2):
            continue
        half = table.astype(np.float32) / 2 + np.float32(_ROUNDING)
        if kept is not None and i < len(kept.tables) and kept.sampling == coding.sampling:
            half = half + kept.tables[i].astype(np.float32) / 2
        found[i] = np.asarray(half, np.float32)
    return found


def _planes(rgb: Pixels) -> tuple[Plane, Plane, Plane]:
    """Luma at full, both chromas at half size."""
    y, red, blue = cv2.split(cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2YCrCb))
    return y.astype(np.float32), _half(red), _half(blue)


def _half(plane: Pixels) -> Plane:
    size = max(1, (plane.shape[1] + 1) // 2), max(1, (plane.shape[0] + 1) // 2)
    return np.asarray(cv2.resize(plane.astype(np.float32), size, interpolation=cv2.INTER_AREA), np.float32)


def _residual(
    copy: tuple[Plane, Plane, Plane],
    kept: tuple[Plane, Plane, Plane],
    simulated: list[tuple[Plane, Plane, Plane]],
    half_steps: list[Plane | None] | None,
    is_dithered: bool,
) -> Residual:
    planes, stricter = [], []
    for i in range(3):
        direct = copy[i] - kept[i]
        if is_dithered:
            direct = np.asarray(cv2.GaussianBlur(direct, (0, 0), _DITHER_PX), np.float32)
        explanations = [direct, *(copy[i] - s[i] for s in simulated)]
        side = 5 if i else _CHOICE_PX
        steps = None if half_steps is None else half_steps[i]
        if steps is not None:
            stricter.append(least(explanations, side))
            explanations = [stricter[-1], outside_of_steps(direct, steps)]
        planes.append(least(explanations, side))
    luma, *chroma = planes
    active = shared_activity(kept[0], copy[0])
    size = chroma[0].shape[1], chroma[0].shape[0]
    half_active = cv2.resize(active, size, interpolation=cv2.INTER_AREA)
    chroma_active = tuple(shared_activity(kept[i], copy[i]) + np.float32(0.15) * half_active for i in (1, 2))
    return Residual(
        copy[0],
        kept[0],
        luma,
        (chroma[0], chroma[1]),
        active,
        (chroma_active[0], chroma_active[1]),
        tuple(stricter),
    )


def least(explanations: list[Plane], side: int = _CHOICE_PX) -> Plane:
    """In each neighbourhood the explanation that leaves the least energy."""
    best = explanations[0]
    energy = box(best * best, side)
    for other in explanations[1:]:
        smaller = box(other * other, side)
        is_better = smaller < energy
        best = np.where(is_better, other, best)
        energy = np.minimum(energy, smaller)
    return best
