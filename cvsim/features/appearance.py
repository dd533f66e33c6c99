"""What happened to the grey values between two pictures that lie over each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEVEL_BIN = 8
N_LEVELS = 256 // LEVEL_BIN
MIN_PIXELS = 8
"""Of one grey level, from which their mean is trusted."""
SPOT_SIDE, SPOT_SHARE = 4, 0.3
"""A spot counts where this share of its pixels is off: edges that lie a little apart do not make one."""
OUTLIER_LEVELS = 36.0
"""Grey levels off the tone curve that no encoder makes: something was painted over."""


@dataclass(frozen=True, slots=True)
class Appearance:
    """How one picture's grey values follow from the other's.

    Attributes
    ----------
    tone_shift : float
        Mean distance of the tone curve from the diagonal, in grey levels: brightness, contrast, gamma.
    outliers : float
        Share of spots where much is far off the tone curve: captions, stickers.
    """

    tone_shift: float
    outliers: float


def appearance_change(
    a: NDArray[np.uint8], b: NDArray[np.uint8], inside: NDArray[np.uint8] | None
) -> Appearance:
    """Compare the grey values of two aligned pictures, each (H, W), where both exist (None: everywhere).

    The tone curve is the mean of `b` for each level of `a`, taken twice: what lies far off the first one
    was painted over and does not count for the second. Every third pixel is enough.
    """
    shown = np.ones(a[::3, ::3].shape, bool) if inside is None else inside[::3, ::3] != 0
    x, y = a[::3, ::3][shown], b[::3, ::3][shown]
    if len(x) < 64:
        return Appearance(0.0, 0.0)
    level = (x // LEVEL_BIN).astype(np.int64)
    x, y = x.astype(np.float32), y.astype(np.float32)
    kept = np.ones(len(x), bool)
    for _ in range(2):
        count = np.bincount(level[kept], minlength=N_LEVELS)
        trusted = np.flatnonzero(count >= MIN_PIXELS)
        if len(trusted) < 2:
            return Appearance(float(abs(y.mean() - x.mean())), 0.0)
        mean_x = np.bincount(level[kept], x[kept], N_LEVELS)[trusted] / count[trusted]
        mean_y = np.bincount(level[kept], y[kept], N_LEVELS)[trusted] / count[trusted]
        kept = np.abs(y - np.interp(x, mean_x, mean_y)) <= OUTLIER_LEVELS
    tone_shift = float(np.average(np.abs(mean_y - mean_x), weights=count[trusted]))
    off = np.zeros(shown.shape, np.float32)
    off[shown] = ~kept
    spots = cv2.blur(off, (SPOT_SIDE, SPOT_SIDE)) > SPOT_SHARE
    return Appearance(tone_shift, float(spots[shown].mean()))


def grain(gray: NDArray[np.uint8]) -> float:
    """Standard deviation of what noise and finest detail a grey picture has, in grey levels.

    J. Immerkær, "Fast noise variance estimation" (1996).
    """
    residual = cv2.sepFilter2D(gray, cv2.CV_16S, _IMMERKAER, _IMMERKAER)
    return float(cv2.norm(residual, cv2.NORM_L1) / gray.size * (np.pi / 2) ** 0.5 / 6)


_IMMERKAER = np.array([1, -2, 1], np.float32)
