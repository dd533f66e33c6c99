"""Boxes of many sizes laid over a residual: where does it differ more than noise does?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from cvsim.proof.noise import Bounds, NoiseCurve, Places

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Plane = NDArray[np.float32]

VISIBLE = {3: 9.0, 5: 7.0, 8: 5.0, 12: 4.5, 16: 4.0, 24: 3.5, 32: 3.0, 64: 3.0}
"""By side of the box in pixels, the least mean difference in grey levels that anybody could see."""
ALWAYS = {3: 60.0, 5: 40.0, 8: 22.0, 12: 14.0, 16: 10.0, 24: 7.5, 32: 6.0, 64: 4.5}
"""The mean difference that no noise explains."""
MOST_DEVIATIONS = 11.0
ENERGY_SIDES = (8, 16, 32)
ENERGY_VISIBLE = 1.6
MOST_ENERGY = 8.0
_FINE_SIDE = 8
_HARDLY_ANY, _BUSIEST = 0.98, 0.1
MARGIN_PX = 48
"""What a tile needs around it: half the largest box, and the filters before."""
MOST_BOXES = 16
_BAND_ROWS = 384


class Band(NamedTuple):
    """Some rows of a plane, those with a margin, and where they lie within these."""

    rows: slice
    outer: slice
    inner: slice


def bands(height: int) -> Iterator[Band]:
    """Bands that cover a plane, so that what is worked out beside it needs little memory."""
    n = max(1, height // _BAND_ROWS)
    ends = [height * i // n // 2 * 2 for i in range(n)] + [height]
    for top, bottom in pairwise(ends):
        first = max(0, top - MARGIN_PX)
        yield Band(slice(top, bottom), slice(first, bottom + MARGIN_PX), slice(top - first, bottom - first))


def box(plane: Plane, side: int) -> Plane:
    """Mean within side x side pixels."""
    mean = cv2.boxFilter(plane, -1, (side, side), borderType=cv2.BORDER_REFLECT)
    return np.asarray(mean, np.float32)


def halved(plane: Plane) -> Plane:
    """Means of 2 x 2 pixels; a last odd row or column is repeated."""
    h, w = plane.shape
    if h % 2 or w % 2:
        plane = cv2.copyMakeBorder(plane, 0, h % 2, 0, w % 2, cv2.BORDER_REPLICATE)
    size = plane.shape[1] // 2, plane.shape[0] // 2
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.float32)


def _mean(layers: tuple[Plane, Plane], side: int) -> Plane:
    """Means in boxes; of the large ones at half the size, which shows the same for a quarter of the cost."""
    return box(layers[1], side // 2) if side > _FINE_SIDE else box(layers[0], side)


def fits(side: int, plane: Plane) -> bool:
    """Whether a plane is large enough for boxes of this side."""
    return bool(2 * side <= min(plane.shape))


def _is_asked(side: int, plane: Plane) -> bool:
    """The smallest box is laid over any plane: over the chroma of a tiny picture nothing else fits."""
    return fits(side, plane) or side == min(VISIBLE)


class Samples:
    """Activity in windows of a picture, in bins, for whatever residuals there are.

    Parameters
    ----------
    active : list of (h, w) float32
    """

    def __init__(self, active: list[Plane]) -> None:
        self.active = active

    @cached_property
    def fine(self) -> Places:
        """Of single pixels."""
        return Places(self.active)

    @cached_property
    def coarse(self) -> Places:
        """Of means of 2 x 2 pixels."""
        return Places([halved(active) for active in self.active])


class Noise:
    """What a pair's residual has of noise: single pixels, and means in boxes by their side.

    Means in boxes lie between those of white noise and what encoders leave, so that a change in most of the
    picture does not pass as its noise.

    Parameters
    ----------
    residuals : list of (h, w) float32
        Windows. None: there is no noise.
    samples : Samples
        The activity there.
    bounds : Bounds
    """

    def __init__(self, residuals: list[Plane], samples: Samples, bounds: Bounds) -> None:
        self._residuals, self._samples, self._bounds = residuals, samples, bounds
        self._means: dict[int, NoiseCurve | None] = {}

    @cached_property
    def pixels(self) -> NoiseCurve:
        """Of single pixels."""
        if not self._residuals:
            return NoiseCurve(np.zeros(1, np.float32), np.zeros(1, np.float32), self._bounds)
        return self._samples.fine.curve(self._residuals, self._bounds)

    @cached_property
    def _layers(self) -> list[tuple[Plane, Plane]]:
        return [(residual, halved(residual)) for residual in self._residuals]

    @property
    def typical(self) -> float:
        """Deviation of a pixel at places of middling activity, in grey levels."""
        return float(np.median(self.pixels.deviations))

    @cached_property
    def tail(self) -> float:
        """What hardly any mean of 3 x 3 pixels exceeds at busy places, in grey levels.

        White paper is exact in any pair, and says nothing of what lies on it.
        """
        if not self._residuals:
            return 0.0
        means = [np.abs(_mean(layers, min(VISIBLE))) for layers in self._layers]
        step = 1 + sum(m.size for m in means) // 60_000
        taken = np.concatenate([m.ravel()[::step] for m in means])
        busy = np.concatenate([active.ravel()[::step] for active in self._samples.active])
        return float(np.quantile(taken[busy >= np.quantile(busy, 1 - _BUSIEST)], _HARDLY_ANY))

    def mean(self, side: int) -> NoiseCurve | None:
        """Of means in boxes; None where nothing is known of them."""
        if side not in self._means:
            self._means[side] = self._measured(side)
        return self._means[side]

    def _measured(self, side: int) -> NoiseCurve | None:
        if not self._residuals or not all(fits(side, full) for full, _ in self._layers):
            return None
        where = self._samples.coarse if side > _FINE_SIDE else self._samples.fine
        most_share = 2.2 * (side / 3) ** 0.5 / side
        return where.curve([_mean(r, side) for r in self._layers], self._bounds, 1 / side, most_share)


def is_seen(residual: Plane, floor: float) -> bool:
    """Whether anything could be seen in a residual, were there no noise."""
    return any(True for _ in _seen_means(residual, floor)) or any(
        True for _ in _seen_energies(residual, floor)
    )


def _seen_means(residual: Plane, floor: float) -> Iterator[tuple[int, Plane]]:
    """Side and means of the boxes of which any differs by more than one sees; the smallest boxes first."""
    layers: tuple[Plane, Plane] | None = None
    most_of_8 = np.inf
    for side, visible in VISIBLE.items():
        # The mean of a box is none of larger size than the largest of the boxes that make it up.
        if not _is_asked(side, residual) or (side % 8 == 0 and most_of_8 < visible * floor):
            continue
        if side > _FINE_SIDE and layers is None:
            layers = residual, halved(residual)
        mean = box(residual, side) if layers is None else _mean(layers, side)
        most = max(float(mean.max()), -float(mean.min()))
        if side == 8:
            most_of_8 = most
        if most >= visible * floor:
            yield side, mean


def _seen_energies(residual: Plane, floor: float) -> Iterator[tuple[int, Plane]]:
    """Side and mean squares of the boxes of which any has more than one sees."""
    energy = residual * residual
    most = float(energy.max())
    for side in ENERGY_SIDES:
        if not fits(side, residual) or most < least_energy(side, floor):
            continue
        local = box(energy, side)
        if side == ENERGY_SIDES[0]:
            most = float(local.max())
        if float(local.max()) >= least_energy(side, floor):
            yield side, np.maximum(local, 0)


def excess(residual: Plane, active: Plane, noise: Noise, floor: float) -> Plane | None:
    """How many times the largest difference that is allowed there each place has: 1 or more is a change.

    Parameters
    ----------
    residual, active : (h, w) float32
        Grey levels, and activity, from which `noise` says what it explains.
    noise : Noise
    floor : float
        Times what one sees.

    Returns
    -------
    (h, w) float32, or None
        None if nothing could be seen anywhere, were there no noise.
    """
    found: Plane | None = None
    for band in bands(residual.shape[0]):
        within = _excess_in(residual[band.outer], active[band.outer], noise, floor)
        if within is not None:
            found = np.zeros_like(residual) if found is None else found
            found[band.rows] = within[band.inner]
    return found


def _excess_in(residual: Plane, active: Plane, noise: Noise, floor: float) -> Plane | None:
    found: Plane | None = None
    for over in _over_means(residual, active, noise, floor):
        found = over if found is None else np.maximum(found, over, out=found)
    for over in _over_energies(residual, active, noise, floor):
        found = over if found is None else np.maximum(found, over, out=found)
    return found


def _over_means(residual: Plane, active: Plane, noise: Noise, floor: float) -> Iterator[Plane]:
    coarse: Plane | None = None
    for side, mean in _seen_means(residual, floor):
        curve, places = noise.mean(side), active
        if side > _FINE_SIDE:
            coarse = halved(active) if coarse is None else coarse
            places = box(coarse, side // 2)
        size, least = np.abs(mean), np.float32(VISIBLE[side] * floor)
        seen = np.flatnonzero(size >= least)  # elsewhere nothing can be over the limit
        limit = least if curve is None else _limit(curve.at(places.ravel()[seen]), least)
        over = np.zeros_like(size)
        over.ravel()[seen] = size.ravel()[seen] / np.minimum(limit, np.float32(ALWAYS[side]))
        yield _doubled(over, residual.shape)


def _limit(deviation: Plane, least: np.float32) -> Plane:
    return np.asarray(np.maximum(np.float32(MOST_DEVIATIONS) * deviation, least), np.float32)


def _over_energies(residual: Plane, active: Plane, noise: Noise, floor: float) -> Iterator[Plane]:
    variance: Plane | None = None
    for side, local in _seen_energies(residual, floor):
        variance = noise.pixels.at(active) ** 2 if variance is None else variance
        least = np.float32(least_energy(side, floor))
        seen = np.flatnonzero(local >= least)
        limit = np.maximum(box(variance, side).ravel()[seen] * np.float32(MOST_ENERGY**2), least)
        over = np.zeros_like(local)
        over.ravel()[seen] = np.sqrt(local.ravel()[seen] / limit)
        yield over


def _doubled(plane: Plane, shape: tuple[int, ...]) -> Plane:
    """A plane of half size, if it is one, at the whole size again."""
    if plane.shape == shape:
        return plane
    return np.repeat(np.repeat(plane, 2, axis=0), 2, axis=1)[: shape[0], : shape[1]]


def least_energy(side: int, floor: float) -> float:
    """Mean square of a difference without a mean that one sees in a box, such as thin strokes."""
    return float((VISIBLE[side] * ENERGY_VISIBLE * floor) ** 2)


@dataclass(frozen=True, slots=True)
class Spot:
    """A place that is not explained: its box in pixels of the copy, and how far beyond the limit."""

    x: int
    y: int
    width: int
    height: int
    excess: float


def spots(ratio: Plane, left: int, top: int, cell_px: int = 8) -> list[Spot]:
    """Connected places of `ratio` >= 1, joined across a cell; `left`, `top` is where its corner lies."""
    if float(ratio.max()) < 1:
        return []
    h, w = ratio.shape
    padded = cv2.copyMakeBorder(ratio, 0, -h % cell_px, 0, -w % cell_px, cv2.BORDER_CONSTANT, value=0)
    cells = padded.reshape(padded.shape[0] // cell_px, cell_px, -1, cell_px).max((1, 3))
    joined = cv2.dilate((cells >= 1).astype(np.uint8), np.ones((3, 3), np.uint8))
    n, labels = cv2.connectedComponents(joined)
    found = []
    for label in range(1, n):
        rows, columns = np.nonzero((labels == label) & (cells >= 1))
        if not len(rows):
            continue
        x, y = int(columns.min()) * cell_px, int(rows.min()) * cell_px
        right, bottom = min(w, (int(columns.max()) + 1) * cell_px), min(h, (int(rows.max()) + 1) * cell_px)
        top_excess = float(cells[rows, columns].max())
        found.append(Spot(left + x, top + y, right - x, bottom - y, top_excess))
    return found


def merged(found: list[Spot], gap_px: int = 16) -> list[Spot]:
    """Boxes that touch or nearly do, made one; largest difference first."""
    boxes = sorted(found, key=lambda s: -s.excess)[:400]
    changed = True
    while changed:
        changed = False
        for i in range(len(boxes)):
            for j in range(len(boxes) - 1, i, -1):
                if _near(boxes[i], boxes[j], gap_px):
                    boxes[i] = _joined(boxes[i], boxes[j])
                    del boxes[j]
                    changed = True
    return sorted(boxes, key=lambda s: (-s.excess, s.y, s.x))


def _near(a: Spot, b: Spot, gap_px: int) -> bool:
    return (
        a.x <= b.x + b.width + gap_px
        and b.x <= a.x + a.width + gap_px
        and a.y <= b.y + b.height + gap_px
        and b.y <= a.y + a.height + gap_px
    )


def _joined(a: Spot, b: Spot) -> Spot:
    x, y = min(a.x, b.x), min(a.y, b.y)
    right, bottom = max(a.x + a.width, b.x + b.width), max(a.y + a.height, b.y + b.height)
    return Spot(x, y, right - x, bottom - y, max(a.excess, b.excess))
