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

_WINDOW_PX = 9
_LEAST_FLAT, _LEAST_SLOPE = 0.6, 0.10
"""Least noise believed: rounding, and a tenth of the gradient."""
_N_BINS, _LEAST_IN_BIN = 20, 60
_TOP_SHARES = (0.96, 0.99, 0.997, 1.0)


@dataclass(frozen=True, slots=True)
class Bounds:
    """Most noise that is believed, in grey levels: flat + slope x activity, never more than top."""

    flat: float
    slope: float
    top: float


@dataclass(frozen=True, slots=True)
class NoiseCurve:
    """Standard deviation of the residual as a function of activity."""

    activities: NDArray[np.float32]
    deviations: NDArray[np.float32]
    bounds: Bounds

    def at(self, activity: Plane) -> Plane:
        """Standard deviation at each place, in grey levels."""
        top = float(self.activities[-1])
        steps = np.linspace(0, top, 1024, dtype=np.float32)
        table = np.interp(steps, self.activities, self.deviations).astype(np.float32)
        places = np.minimum(activity * np.float32(1023 / max(top, 1e-6)), 1023).astype(np.int32)
        b = self.bounds
        most = np.minimum(b.flat + b.slope * activity, b.top)
        least = np.minimum(_LEAST_FLAT + _LEAST_SLOPE * activity, most)
        return np.clip(table[places], least, most)


def activity(plane: Plane) -> Plane:
    """Root mean square of the gradient within 9 x 9 pixels, in grey levels a pixel."""
    across = cv2.Sobel(plane, cv2.CV_32F, 1, 0, ksize=3, scale=0.125)
    down = cv2.Sobel(plane, cv2.CV_32F, 0, 1, ksize=3, scale=0.125)
    energy = cv2.boxFilter(
        across * across + down * down, -1, (_WINDOW_PX, _WINDOW_PX), borderType=cv2.BORDER_REFLECT
    )
    return np.asarray(cv2.sqrt(np.maximum(energy, 0)), np.float32)


def shared_activity(a: Plane, b: Plane) -> Plane:
    """Activity that both pictures have: what only one of them shows earns little tolerance for itself."""
    first, second = activity(a), activity(b)
    return np.minimum(first, second) + np.float32(0.15) * np.maximum(first, second)


def noise_curve(residual: Plane, active: Plane, bounds: Bounds) -> NoiseCurve:
    """Robust scale of the residual in bins of equal population of activity, made monotone.

    Medians and 80 % quantiles: a change of less than a fifth of the picture does not widen it.
    """
    a, e = active.ravel(), np.abs(residual.ravel())
    step = 1 + len(a) // 300_000
    a, e = a[::step], e[::step]
    order = np.argsort(a)
    a, e = a[order], e[order]
    n_bins = int(np.clip(len(a) / 250, 2, _N_BINS))
    edges = (np.unique([*np.linspace(0, _TOP_SHARES[0], n_bins), *_TOP_SHARES]) * len(a)).astype(int)
    places, deviations = [], []
    for start, stop in pairwise(edges):
        if stop - start < _LEAST_IN_BIN and start > 0:
            continue
        half, most = np.quantile(e[start:stop], (0.5, 0.8)) if stop > start else (0.0, 0.0)
        places.append(float(a[start:stop].mean()) if stop > start else 0.0)
        deviations.append(max(half / 0.6745, most / 1.2816))
    rising = np.maximum.accumulate(np.array(deviations, np.float32))
    return NoiseCurve(np.array(places, np.float32), rising, bounds)
