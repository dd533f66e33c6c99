"""How fine the detail of two pictures is, and how much of one's detail the other one explains."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cv2
import numpy as np

from cvsim.proof.scan import Band, bands, box

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Plane = NDArray[np.float32]

_FINE, _COARSE = 1.0, 4.0
"""Standard deviations, in pixels, of the blur that is taken off: fine detail, and detail."""
_CELL_PX = 8
_NEGLIGIBLE = 0.5
_GRAINY, _QUIET_SHARE = 2.0, 0.3
_LEAST_CELLS, _LEAST_GRAINY = 40, 0.05
_STRONG = 400.0
"""Energy of a cell above which an edge does not count for more."""


@dataclass(slots=True)
class Detail:
    """Sums over tiles."""

    left: float = 0.0
    copy: float = 0.0
    kept: float = 0.0
    fine_copy: float = 0.0
    fine_kept: float = 0.0
    fine_left: float = 0.0
    n_pixels: int = 0
    n_cells: int = 0
    grain: list[NDArray[np.float32]] = field(default_factory=list)
    """By cell: product of both pictures' fine detail, energy of the copy's, and of the kept one's."""
    shares: list[NDArray[np.float32]] = field(default_factory=list)

    def add_nothing(self, n_pixels: int) -> None:
        """Take up the size of a picture of which the rest is explained exactly."""
        self.n_pixels += n_pixels

    def add(
        self, copy: Plane, kept: Plane, shown: Plane, residual: Plane, inner: tuple[slice, slice]
    ) -> None:
        """Take up a tile; planes are (h, w) luma, only `inner` counts.

        `shown` is the kept picture as the copy's encoder would show it, where that is known.
        """
        for band in bands(copy.shape[0]):
            rows = _within(band, inner)
            self._add_fine([plane[band.outer] for plane in (copy, shown, residual)], rows)
        if float(np.square(residual).mean()) < _NEGLIGIBLE:
            return
        for band in bands(copy.shape[0]):
            rows = _within(band, inner)
            self._add_coarse([plane[band.outer] for plane in (copy, kept, residual)], rows)

    def _add_fine(self, planes: Sequence[Plane], inner: tuple[slice, slice]) -> None:
        fine = [_detail(p, _FINE)[inner] for p in planes]
        c, k, r = (_cells(f * f) for f in fine)
        self.grain.append(np.stack([_cells(fine[0] * fine[1]).ravel(), c.ravel(), k.ravel()]))
        self.n_cells += c.size
        self.fine_copy += float(np.minimum(c, _STRONG).sum())
        self.fine_kept += float(np.minimum(k, _STRONG).sum())
        self.fine_left += float(np.minimum(r, _STRONG).sum())

    def _add_coarse(self, planes: Sequence[Plane], inner: tuple[slice, slice]) -> None:
        c, k, r = (_energy(p, _COARSE) for p in planes)
        self.left += float(r[inner].sum())
        self.copy += float(c[inner].sum())
        self.kept += float(k[inner].sum())
        if min(c.shape) >= 64:
            e = box(r, 32)
            shown = np.minimum(box(c, 32), box(k, 32))
            share = np.where(e > 36, e / (np.maximum(shown, 0) + 30), 0)
            self.shares.append(share[inner][::8, ::8].ravel())

    @property
    def shared_grain(self) -> float:
        """Correlation of fine detail in the quietest places where the copy has any, in [-1, 1].

        There it is grain and noise. A copy's is that of the picture that it was made from; another frame's is
        its own. 1 where there is none.
        """
        if not self.grain:
            return 1.0
        product, copy, kept = np.concatenate(self.grain, axis=1)
        has_any = copy >= _GRAINY
        if has_any.sum() < max(_LEAST_CELLS, _LEAST_GRAINY * len(copy)):
            return 1.0
        quiet = has_any & (kept <= np.quantile(kept[has_any], _QUIET_SHARE))
        return float(product[quiet].sum() / np.sqrt(copy[quiet].sum() * kept[quiet].sum() + 1e-3))

    @property
    def unexplained(self) -> float:
        """Share of the detail that stays unexplained, over the whole."""
        return self.left / (min(self.copy, self.kept) + 4 * max(1, self.n_pixels))

    @property
    def unexplained_widely(self) -> float:
        """The share that a tenth of the picture exceeds."""
        return float(np.quantile(np.concatenate(self.shares), 0.9)) if self.shares else 0.0

    @property
    def fine_unexplained(self) -> float:
        """Share of the copy's fine detail that stays unexplained."""
        return self.fine_left / (self.fine_copy + 1e-3)

    @property
    def fineness(self) -> float:
        """Fine detail of the kept picture over that of the copy; below 1, the kept one is softer."""
        return _ratio(self.fine_kept, self.fine_copy, self.n_cells)


def _within(band: Band, inner: tuple[slice, slice]) -> tuple[slice, slice]:
    """The rows of a band that count, and the columns, where not all rows of the plane do."""
    first, last = inner[0].start or 0, inner[0].stop
    top = max(band.rows.start, first)
    bottom = band.rows.stop if last is None else min(band.rows.stop, last)
    return slice(top - band.outer.start, max(top, bottom) - band.outer.start), inner[1]


def fineness_in(windows: Iterable[tuple[Plane, Plane]]) -> float:
    """`Detail.fineness` of one picture over another one, in windows of both: (h, w) luma."""
    of_first, of_second, n_cells = 0.0, 0.0, 0
    for first, second in windows:
        a, b = (_cells(_energy(plane, _FINE)) for plane in (first, second))
        of_first += float(np.minimum(a, _STRONG).sum())
        of_second += float(np.minimum(b, _STRONG).sum())
        n_cells += a.size
    return _ratio(of_first, of_second, n_cells)


def _ratio(first: float, second: float, n_cells: int) -> float:
    quiet = 0.5 * max(1, n_cells)
    return (first + quiet) / (second + quiet)


def _detail(plane: Plane, deviation: float) -> Plane:
    return np.asarray(plane - cv2.GaussianBlur(plane, (0, 0), deviation), np.float32)


def _energy(plane: Plane, deviation: float) -> Plane:
    return _detail(plane, deviation) ** 2


def _cells(energy: Plane) -> Plane:
    h, w = (side // _CELL_PX for side in energy.shape)
    if h == 0 or w == 0:
        return energy
    cells = energy[: h * _CELL_PX, : w * _CELL_PX].reshape(h, _CELL_PX, w, _CELL_PX)
    return np.asarray(cells.mean((1, 3)), np.float32)
