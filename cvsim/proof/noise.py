"""How much two pictures of one content differ, by how busy the place is: from the pair, within bounds."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Plane = NDArray[np.float32]

_AROUND_PX = 9
_CARRIED = 0.1
_LEAST_FLAT, _LEAST_SLOPE = 0.6, 0.10
"""Least noise believed: rounding, and a tenth of the gradient."""
_N_BINS, _LEAST_IN_BIN = 20, 60
_SAMPLED_PLACES = 30_000
_TOP_SHARES = (0.96, 0.99, 0.997, 1.0)


@dataclass(frozen=True, slots=True)
class Bounds:
    """Most noise that is believed, in grey levels: flat + slope x activity, never more than top."""

    flat: float
    slope: float
    top: float


@dataclass(frozen=True, slots=True)
class NoiseCurve:
    """Standard deviation of the residual, or of its mean in a box, as a function of activity.

    Attributes
    ----------
    activities, deviations : (n,) float32
        In grey levels, both rising.
    bounds : Bounds
        Of the noise of single pixels.
    least_share, most_share : float
        What part of that a mean in a box keeps: of white noise, and at most.
    """

    activities: NDArray[np.float32]
    deviations: NDArray[np.float32]
    bounds: Bounds
    least_share: float = 1.0
    most_share: float = 1.0

    def at(self, activity: Plane) -> Plane:
        """Standard deviation at each place, in grey levels."""
        top = float(self.activities[-1])
        steps = np.linspace(0, top, 1024, dtype=np.float32)
        table = np.interp(steps, self.activities, self.deviations).astype(np.float32)
        places = np.minimum(activity * np.float32(1023 / max(top, 1e-6)), 1023).astype(np.uint16)
        deviation: Plane = table[places]
        del places  # planes of a whole picture: as few as can be at a time
        most = _line(activity, self.bounds.slope, self.bounds.flat)
        np.minimum(most, np.float32(self.bounds.top), out=most)
        most *= np.float32(self.most_share)
        least = _line(activity, _LEAST_SLOPE, _LEAST_FLAT)
        least *= np.float32(self.least_share)
        np.maximum(deviation, np.minimum(least, most, out=least), out=deviation)
        return np.minimum(deviation, most, out=deviation)


def _line(plane: Plane, slope: float, offset: float) -> Plane:
    found = plane * np.float32(slope)
    found += np.float32(offset)
    return found


def activity(plane: Plane) -> Plane:
    """Root mean square of the gradient within 9 x 9 pixels, in grey levels a pixel."""
    across = cv2.Sobel(plane, cv2.CV_32F, 1, 0, ksize=3, scale=0.125)
    down = cv2.Sobel(plane, cv2.CV_32F, 0, 1, ksize=3, scale=0.125)
    energy = cv2.boxFilter(
        across * across + down * down, -1, (_AROUND_PX, _AROUND_PX), borderType=cv2.BORDER_REFLECT
    )
    return np.asarray(cv2.sqrt(np.maximum(energy, 0)), np.float32)


def shared_activity(copy: Plane, kept: Plane, reach_px: int) -> Plane:
    """Activity that both pictures have: what only one of them shows earns little tolerance for itself.

    Some of the kept one's is carried as far as a block of an encoder carries an edge's noise (`reach_px`).
    """
    first, second = activity(copy), activity(kept)
    side = 2 * reach_px + 1
    around = cv2.dilate(second, np.ones((side, side), np.uint8))
    shared = np.minimum(first, second) + np.float32(0.15) * np.maximum(first, second)
    return np.asarray(shared + np.float32(_CARRIED) * around, np.float32)


class Places:
    """Places of a picture in bins of equal population of activity, for any residual of it.

    Parameters
    ----------
    active : list of (h, w) float32
        Activity of windows of a picture.
    """

    def __init__(self, active: list[Plane]) -> None:
        self._step = 1 + sum(a.size for a in active) // _SAMPLED_PLACES
        values = self._taken(active)
        self._order = np.argsort(values)
        values = values[self._order]
        n_bins = int(np.clip(len(values) / 250, 2, _N_BINS))
        shares = np.unique([*np.linspace(0, _TOP_SHARES[0], n_bins), *_TOP_SHARES])
        edges = pairwise((shares * len(values)).astype(int))
        bins = [(i, j) for i, j in edges if j - i >= _LEAST_IN_BIN or (i == 0 and j > 0)]
        self._activities = np.array([values[i:j].mean() for i, j in bins], np.float32)
        sizes = np.array([j - i for i, j in bins])
        self._middle, self._high = sizes // 2, np.minimum(sizes - 1, (0.8 * sizes).astype(int))
        # A row a bin, all of one length: a sort of the whole is faster than a look into each.
        self._rows = np.full((len(bins), int(sizes.max(initial=0))), len(values), np.intp)
        for row, (i, j) in zip(self._rows, bins, strict=True):
            row[: j - i] = self._order[i:j]

    def _taken(self, planes: list[Plane]) -> NDArray[np.float32]:
        return np.concatenate([p.ravel()[:: self._step] for p in planes])

    def curve(
        self, residuals: list[Plane], bounds: Bounds, least_share: float = 1.0, most_share: float = 1.0
    ) -> NoiseCurve:
        """Robust scale of a residual (one plane a window) in each bin, made monotone.

        Medians and 80 % quantiles: a change of less than a fifth of the picture does not widen it.
        """
        sizes = np.append(np.abs(self._taken(residuals)), np.float32(np.inf))
        binned, rows = np.sort(sizes[self._rows], axis=1), np.arange(len(self._rows))
        deviations = np.maximum(binned[rows, self._middle] / 0.6745, binned[rows, self._high] / 1.2816)
        rising = np.maximum.accumulate(deviations)
        return NoiseCurve(self._activities, rising, bounds, least_share, most_share)
