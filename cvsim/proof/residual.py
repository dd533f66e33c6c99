"""What of a copy the kept picture leaves unexplained, tile by tile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np

from cvsim.proof.encoding import JpegCoding, encoded_again, outside_of_steps
from cvsim.proof.noise import shared_activity
from cvsim.proof.palette import explained_by_palette, marks_in_palette
from cvsim.proof.scan import MARGIN_PX, box

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.types import Box

    Pixels = NDArray[np.uint8]
    Plane = NDArray[np.float32]

WINDOW_PX = 512
GRID_PX = 16
"""The largest unit a JPEG codes at once; tiles begin on it."""
_CHOICE_PX = 8
_ROUNDING = 1.0
_AS_FINE = 1.05
_WHITE, _CLIPPED_LEAST, _CLIPPED_SHARE = 252, 0.2, np.float32(0.65)
_INVISIBLE = 2
"""Difference of a channel that nobody sees even where it is everywhere."""
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


def tiles(height: int, width: int, side: int = WINDOW_PX) -> Iterator[Tile]:
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


PLANE_NAMES = ("luma", "red", "blue")
Kind = Literal["plain", "as encoded", "within steps"]
"""Of a residual: of a copy without quantisation tables; without and with the forgiveness of their steps. The
second is what one sees in the copy that its encoder would not have made of the kept picture."""


class Residual:
    """What is left of one tile, of luma and of both chromas at half its size; worked out when asked for.

    Parameters
    ----------
    tile : Tile
    copy, kept : (h, w, 3) uint8
        Their pixels there.
    simulated : list of (h, w, 3) uint8
        What encoders would have made of the kept ones, the likeliest last.
    half_steps : list of (8, 8) float32 or None, optional
        What quantisation may move each coefficient of each channel by.
    is_dithered : bool
    """

    def __init__(
        self,
        tile: Tile,
        copy: Pixels,
        kept: Pixels,
        simulated: list[Pixels],
        half_steps: list[Plane | None] | None,
        is_dithered: bool,
    ) -> None:
        self.tile = tile
        self.copy, self.kept = _planes(copy), _planes(kept)
        self._simulated = [_planes(s) for s in simulated]
        self._half_steps, self._is_dithered = half_steps, is_dithered
        self._known: dict[tuple[int, Kind], Plane] = {}
        self._active: dict[int, Plane] = {}

    def kinds(self, channel: int) -> tuple[Kind, ...]:
        """The residuals of a channel that have to be small."""
        has_steps = self._half_steps is not None and self._half_steps[channel] is not None
        return ("as encoded", "within steps") if has_steps else ("plain",)

    def likeliest(self, channel: int) -> Plane:
        """What the one likeliest explanation leaves: where that is nothing, no other one is needed."""
        if self._is_dithered or not self._simulated:
            return self.plane(channel, "plain")
        return self.copy[channel] - self._simulated[-1][channel]

    @property
    def as_shown(self) -> Plane:
        """Luma of the kept picture as the likeliest encoder would show it."""
        return self._simulated[-1][0] if self._simulated else self.kept[0]

    def plane(self, channel: int, kind: Kind) -> Plane:
        """What the best explanation of each neighbourhood leaves, in grey levels."""
        key = channel, kind
        if key not in self._known:
            self._known[key] = self._worked_out(channel, kind)
        return self._known[key]

    def _worked_out(self, channel: int, kind: Kind) -> Plane:
        side = 5 if channel else _CHOICE_PX
        direct = self.copy[channel] - self.kept[channel]
        if kind == "within steps":
            steps = None if self._half_steps is None else self._half_steps[channel]
            strict = self.plane(channel, "as encoded")
            if steps is None:
                return strict
            left = least([strict, outside_of_steps(direct, steps)], side)
            return left if channel else np.where(_may_be_clipped(self.kept[0]), left * _CLIPPED_SHARE, left)
        if self._is_dithered:
            direct = np.asarray(cv2.GaussianBlur(direct, (0, 0), _DITHER_PX), np.float32)
        return least([direct, *(self.copy[channel] - s[channel] for s in self._simulated)], side)

    def active(self, channel: int) -> Plane:
        """Activity that both pictures have; of chroma also some of luma's."""
        if channel not in self._active:
            own = shared_activity(self.copy[channel], self.kept[channel], 4 if channel else 8)
            if channel:
                size = own.shape[1], own.shape[0]
                own += np.float32(0.15) * cv2.resize(self.active(0), size, interpolation=cv2.INTER_AREA)
            self._active[channel] = own
        return self._active[channel]


def _may_be_clipped(luma: Plane) -> NDArray[np.bool_]:
    """Where black or white is near: what a decoder cut off there has moved the means of blocks."""
    extreme = ((luma >= _WHITE) | (luma <= 255 - _WHITE)).astype(np.float32)
    return np.asarray(box(extreme, 2 * _CHOICE_PX) > _CLIPPED_LEAST)


class PairOnGrid:
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

    @property
    def is_of_palette(self) -> bool:
        """Whether an encoder with the copy's colours may have made it of the kept picture."""
        return bool(self._by_palette[0])

    @cached_property
    def marks(self) -> list[Box]:
        """Where a palette that had room for nearly all colours shows another one."""
        return marks_in_palette(self.kept, self.copy) if self._n_colors else []

    def residual(self, tile: Tile, whole: bool = False) -> Residual | None:
        """What is left in a tile, or in what part of it anything is; None if next to nothing is."""
        window = slice(tile.top, tile.bottom), slice(tile.left, tile.right)
        copy, kept = self.copy[window], self.kept[window]
        pictures, is_dithered = self._by_palette
        simulated = [s[window] for s in pictures]
        if self._coding is not None and self._coding.is_simulable:
            simulated.append(encoded_again(kept, self._coding))
        rest = _places_left(copy, simulated[-1] if simulated else kept, tile)
        if rest is None:
            return None
        if not whole:
            rows = slice(rest.top - tile.top, rest.bottom - tile.top)
            columns = slice(rest.left - tile.left, rest.right - tile.left)
            tile, copy, kept = rest, copy[rows, columns], kept[rows, columns]
            simulated = [s[rows, columns] for s in simulated]
        return Residual(tile, copy, kept, simulated, self._half_steps, is_dithered)


def _places_left(copy: Pixels, explanation: Pixels, tile: Tile) -> Tile | None:
    """The part of a tile that holds all inner places where the two differ visibly; None if none do."""
    difference = cv2.absdiff(copy, explanation)[tile.inner]
    if int(difference.max(initial=0)) <= _INVISIBLE:
        return None
    difference = np.ascontiguousarray(difference)
    rows = np.flatnonzero(difference.reshape(len(difference), -1).max(1) > _INVISIBLE)
    columns = np.flatnonzero(difference.max(0).max(1) > _INVISIBLE)
    y, x = (tile.inner[0].start or 0), (tile.inner[1].start or 0)
    h, w = copy.shape[:2]
    inner_bottom, inner_right = y + difference.shape[0], x + difference.shape[1]
    first_y, first_x = (int(a[0] + o) // GRID_PX * GRID_PX for a, o in ((rows, y), (columns, x)))
    last_y = min(inner_bottom, (int(rows[-1]) + y) // GRID_PX * GRID_PX + GRID_PX)
    last_x = min(inner_right, (int(columns[-1]) + x) // GRID_PX * GRID_PX + GRID_PX)
    first_y, first_x = max(y, first_y), max(x, first_x)
    top, left = max(0, first_y - MARGIN_PX), max(0, first_x - MARGIN_PX)
    bottom, right = min(h, last_y + MARGIN_PX), min(w, last_x + MARGIN_PX)
    inner = slice(first_y - top, last_y - top), slice(first_x - left, last_x - left)
    return Tile(tile.top + top, tile.left + left, tile.top + bottom, tile.left + right, inner)


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
