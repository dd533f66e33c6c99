"""What happened to the grey values between two pictures that lie over each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Gray = NDArray[np.uint8]
    Floats = NDArray[Any]

LEVEL_BIN = 8
N_TONE_LEVELS = 256 // LEVEL_BIN
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


def appearance_change(a: Gray, b: Gray, inside: Gray | None) -> Appearance:
    """Compare the grey values of two aligned pictures, each (H, W), where both exist (None: everywhere).

    The tone curve is the mean of `b` for each level of `a`, taken twice: what lies far off the first one
    was painted over and does not count for the second. Every third pixel is enough.
    """
    shown, x, y = _sampled(a, b, inside)
    if len(x) < 64:
        return Appearance(0.0, 0.0)
    curve = _tone_curve(x, y)
    if curve is None:
        return Appearance(float(abs(y.mean() - x.mean())), 0.0)
    tone_shift = float(np.average(np.abs(curve.target - curve.source), weights=curve.n_pixels))
    off = np.zeros(shown.shape, np.float32)
    off[shown] = np.abs(y - curve(x)) > OUTLIER_LEVELS
    spots = cv2.blur(off, (SPOT_SIDE, SPOT_SIDE)) > SPOT_SHARE
    return Appearance(tone_shift, float(spots[shown].mean()))


def toned(a: Gray, b: Gray, inside: Gray | None) -> Gray | None:
    """`a` with the tones of `b`, by a curve that rises everywhere: gamma, contrast, cut off highlights.

    None where there is no curve.
    """
    _, x, y = _sampled(a, b, inside)
    curve = _tone_curve(x, y)
    if curve is None:
        return None
    rising = np.interp(np.arange(256), curve.source, np.maximum.accumulate(curve.target))
    return np.asarray(cv2.LUT(a, np.round(rising).astype(np.uint8)))


def _sampled(a: Gray, b: Gray, inside: Gray | None) -> tuple[NDArray[np.bool_], Floats, Floats]:
    """Where every third pixel of both exists, and the grey values of both there."""
    shown = np.ones(a[::3, ::3].shape, bool) if inside is None else inside[::3, ::3] != 0
    return shown, a[::3, ::3][shown].astype(np.float32), b[::3, ::3][shown].astype(np.float32)


class _ToneCurve(NamedTuple):
    """Mean grey values of both sides by level of the first, and how many pixels have it; (n,) each."""

    source: Floats
    target: Floats
    n_pixels: Floats

    def __call__(self, levels: Floats) -> Floats:
        return np.interp(levels, self.source, self.target)


def _tone_curve(x: Floats, y: Floats) -> _ToneCurve | None:
    """From grey values of the same places, (n,) each; None where fewer than two levels are common."""
    level = (x // LEVEL_BIN).astype(np.int64)
    kept, curve = np.ones(len(x), bool), None
    for _ in range(2):
        count = np.bincount(level[kept], minlength=N_TONE_LEVELS)
        trusted = np.flatnonzero(count >= MIN_PIXELS)
        if len(trusted) < 2:
            return None
        mean_x, mean_y = (
            np.bincount(level[kept], v[kept], N_TONE_LEVELS)[trusted] / count[trusted] for v in (x, y)
        )
        curve = _ToneCurve(mean_x, mean_y, count[trusted])
        kept = np.abs(y - curve(x)) <= OUTLIER_LEVELS
    return curve


def grain(gray: Gray) -> tuple[float, float]:
    """What noise and finest detail a grey picture has.

    J. Immerkær, "Fast noise variance estimation" (1996).

    Returns
    -------
    deviation : float
        Its standard deviation, in grey levels.
    free : float
        The share of the picture that has none at all.
    """
    residual = cv2.sepFilter2D(gray, cv2.CV_16S, _IMMERKAER, _IMMERKAER)
    deviation = cv2.norm(residual, cv2.NORM_L1) / gray.size * (np.pi / 2) ** 0.5 / 6
    return float(deviation), 1 - cv2.countNonZero(residual) / gray.size


_IMMERKAER = np.array([1, -2, 1], np.float32)
