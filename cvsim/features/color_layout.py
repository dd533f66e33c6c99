"""Colour layout: fine histograms of CIE Lab, seen through soft windows over the picture.

Made for telling products apart, where `color_histogram` is made for recognising copies: more bins, shared
softly between neighbours, and windows that weigh the middle of a photo, where the product is. The windows are
symmetric, so mirroring changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from cvsim.features.vector import VectorFeature

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.types import RGB

LAYOUT_PX = 96
N_LAYOUT_LIGHTNESS, N_LAYOUT_CHROMA = 6, 9
CHROMA_REACH = 9.0
"""Square root of the largest distance from grey that has a bin of its own."""


def _windows() -> NDArray[np.float32]:
    """(5, SIDE_PX**2) weights: everything, middle, upper and lower middle, and all around."""
    y, x = np.meshgrid(*(2 * [np.linspace(-1, 1, LAYOUT_PX)]), indexing="ij")

    def bump(y0: float, width: float, height: float) -> NDArray[np.float64]:
        return np.exp(-(((x / width) ** 2 + ((y - y0) / height) ** 2) / 2))

    around = 1.001 - bump(0, 0.6, 0.6)
    windows = [np.ones_like(x), bump(0, 0.35, 0.35), bump(-0.5, 0.35, 0.3), bump(0.5, 0.35, 0.3), around]
    return np.stack([w.ravel() for w in windows]).astype(np.float32)


_WINDOWS = _windows()
N_LAYOUT_BINS = N_LAYOUT_LIGHTNESS * N_LAYOUT_CHROMA * N_LAYOUT_CHROMA


MIN_LAYOUT_DEVIATION = 3.0
"""Of L, a or b: pictures of one colour are no evidence for each other."""


class ColorLayout(VectorFeature):
    """Histograms of colour in five windows, compared by Hellinger's kernel.

    A descriptor has 5 * 6 * 9 * 9 values.
    """

    name = "color-layout"

    @property
    def n_dims(self) -> int:
        return len(_WINDOWS) * N_LAYOUT_BINS

    @property
    def params(self) -> Mapping[str, Any]:
        return {
            "side_px": LAYOUT_PX,
            "bins": [N_LAYOUT_LIGHTNESS, N_LAYOUT_CHROMA],
            "n_windows": len(_WINDOWS),
        }

    def vector(self, rgb: RGB) -> NDArray[np.float32] | None:
        square = cv2.resize(rgb, (LAYOUT_PX, LAYOUT_PX), interpolation=cv2.INTER_AREA)
        lab = cv2.cvtColor(square.astype(np.float32) / 255, cv2.COLOR_RGB2LAB).reshape(-1, 3)
        if lab.std(axis=0).max() < MIN_LAYOUT_DEVIATION:
            return None
        # Colours crowd around grey: bins of equal width in the square root tell more of them apart.
        chroma = np.sign(lab[:, 1:]) * np.sqrt(np.abs(lab[:, 1:]))
        lightness = _soft_bins(lab[:, 0] / 100, N_LAYOUT_LIGHTNESS)
        a, b = (_soft_bins((c / CHROMA_REACH + 1) / 2, N_LAYOUT_CHROMA) for c in chroma.T)
        histograms = np.zeros((len(_WINDOWS), N_LAYOUT_BINS))
        for l_bin, l_share in lightness:
            for a_bin, a_share in a:
                for b_bin, b_share in b:
                    bins = (l_bin * N_LAYOUT_CHROMA + a_bin) * N_LAYOUT_CHROMA + b_bin
                    share = l_share * a_share * b_share
                    for histogram, window in zip(histograms, _WINDOWS, strict=True):
                        histogram += np.bincount(bins, share * window, N_LAYOUT_BINS)
        shares = histograms / histograms.sum(axis=1, keepdims=True)
        found: NDArray[np.float32] = np.sqrt(shares).astype(np.float32).ravel()
        return found


def _soft_bins(
    values: NDArray[np.floating[Any]], n_bins: int
) -> tuple[tuple[NDArray[np.int64], NDArray[np.floating[Any]]], ...]:
    """Of values in [0, 1], the two nearest bins and the share of each; beyond, the outermost bin."""
    place = np.clip(values, 0, 1 - 1e-6) * np.float32(n_bins - 1)
    lower = place.astype(np.int64)
    upper_share = place - lower
    return (lower, 1 - upper_share), (lower + 1, upper_share)
