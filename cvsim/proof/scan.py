"""Boxes of many sizes laid over a residual: where does it differ more than noise does?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

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
MOST_DEVIATIONS = 10.0
ENERGY_SIDES = (8, 16, 32)
ENERGY_VISIBLE = 1.6
MOST_ENERGY = 8.0
MARGIN_PX = 48
"""What a tile needs around it: half the largest box, and the filters before."""
MOST_BOXES = 16


def box(plane: Plane, side: int) -> Plane:
    """Mean within side x side pixels."""
    mean = cv2.boxFilter(plane, -1, (side, side), borderType=cv2.BORDER_REFLECT)
    return np.asarray(mean, np.float32)


@dataclass(frozen=True, slots=True)
class Noise:
    """What a pair's residual has of noise: single pixels, and means in boxes by their side."""

    pixels: NoiseCurve
    means: dict[int, NoiseCurve]

    @property
    def typical(self) -> float:
        """Deviation of a pixel at places of middling activity, in grey levels."""
        return float(np.median(self.pixels.deviations))


def measured_noise(samples: list[tuple[Plane, Plane]], bounds: Bounds) -> Noise:
    """Noise of a residual, from windows of it: pairs of residual and activity, of one size each.

    Means in boxes lie between those of white noise and what encoders leave, so that a change in most of the
    picture does not pass as its noise.
    """
    places = Places([active for _, active in samples])
    residuals = [residual for residual, _ in samples]
    pixels = places.curve(residuals, bounds)
    means = {}
    for side in VISIBLE:
        if 2 * side > min(min(r.shape) for r in residuals):
            continue
        most_share = 2.2 * (side / 3) ** 0.5 / side
        means[side] = places.curve([box(r, side) for r in residuals], bounds, 1 / side, most_share)
    return Noise(pixels, means)


def excess(residual: Plane, active: Plane, noise: Noise, floor: float = 1.0) -> Plane | None:
    """How many times the largest difference that is allowed there each place has: 1 or more is a change.

    Parameters
    ----------
    residual, active : (h, w) float32
        In grey levels; the second is the activity, from which `noise` says what it explains.
    floor : float
        Times what one sees.

    Returns
    -------
    (h, w) float32, or None where nothing is large enough to be seen.
    """
    ratio = None
    for side, curve in noise.means.items():
        mean = np.abs(box(residual, side))
        if float(mean.max()) < VISIBLE[side] * floor:
            continue
        limit = np.float32(MOST_DEVIATIONS) * curve.at(active if side <= 5 else box(active, side))
        over = mean / np.clip(limit, VISIBLE[side] * floor, ALWAYS[side])
        ratio = over if ratio is None else np.maximum(ratio, over)
    energy = residual * residual
    for side in ENERGY_SIDES:
        if 2 * side > min(residual.shape):
            continue
        local = np.maximum(box(energy, side), 0)
        least = (VISIBLE[side] * ENERGY_VISIBLE * floor) ** 2
        if float(local.max()) < least:
            continue
        limit = box(noise.pixels.at(active) ** 2, side) * np.float32(MOST_ENERGY**2)
        over = np.sqrt(local / np.maximum(limit, np.float32(least)))
        ratio = over if ratio is None else np.maximum(ratio, over)
    return ratio


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
