"""How far two grey pictures that lie over each other show the same pixels, tile by tile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from cvsim.arrays import ramp
from cvsim.features.information import has_two_directions

if TYPE_CHECKING:
    from numpy.typing import NDArray

OVERLAP_NOISE_VARIANCE = 2.0
"""Added to each tile's variance, in squared grey levels: a tile of mere noise correlates with nothing."""
NO_CONTRAST, FULL_CONTRAST = 4.0, 16.0
"""Standard deviations in grey levels up to which a tile does not count, and beyond which it counts no more:
a caption's strokes must not outvote the photograph behind them, nor make two strangers with one caption
alike."""
MIN_MEAN_WEIGHT = 0.06
"""Of the tiles, each in [0, 1]; below, the overlap is flat and says nothing."""
EDGE_NOISE = 2.0
"""Added to each tile's mean squared slope, in squared grey levels a pixel."""
MIN_LIKENESS = 0.8
"""Correlation from which a tile shows the same thing, though perhaps displaced."""
MIN_CORRELATION = 0.9
MAX_DISPLACEMENT_PX = 0.3
"""What makes a tile agree. Moving a camera by a hand's breadth displaces near things against far ones by
more; decoding, resizing, turning and recolouring a file do not displace anything."""
DIFFERENT = (0.85, 0.95)
"""Correlation up to which a tile differs, and from which it does not."""
CLEAR_ON_BOTH = (0.3, 0.6)
"""Deviation of a tile on its flatter side, as a share of the other one's, up to which it is clear on one side
only, and from which on both."""
BROKEN, KEPT = (0.1, 0.5), (0.3, 0.7)
"""Likeness of the edges between which a tile's structure is less and less broken, more and more kept."""


@dataclass(frozen=True, slots=True, eq=False)
class Agreement:
    """What the tiles of an overlap say.

    Attributes
    ----------
    share : float
        Of the overlap's contrast, in tiles that correlate and are not displaced; in [0, 1].
    correlation : float
        Median correlation of the tiles, weighted by contrast; clipped to [0, 1].
    shift_px : float
        Median displacement of the tiles that correlate, weighted by contrast; infinite where none does.
    deviation, lesser_deviation : (n,) float32
        Of each tile, in grey levels, on the clearer side and on the other one.
    correlations : (n,) float32
        Of each tile.
    shifts : (n, 2) float32
        By how much (x, y) of `b`, in pixels, each tile lies beside its place in `a`, to first order.
    places : (n, 2) float32
        Centre (x, y) of each tile in pixels of the overlap.
    """

    share: float
    correlation: float
    shift_px: float
    deviation: NDArray[np.float32]
    lesser_deviation: NDArray[np.float32]
    correlations: NDArray[np.float32]
    shifts: NDArray[np.float32]
    places: NDArray[np.float32]


def weighted_median(values: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
    """Lower weighted median of each row, (n, m) and (n, m) to (n,); clipped to [0, 1]."""
    order = np.argsort(values, axis=1)
    cumulated = np.cumsum(np.take_along_axis(weights, order, axis=1), axis=1)
    middle = (cumulated >= cumulated[:, -1:] / 2).argmax(axis=1)
    median = np.take_along_axis(values, np.take_along_axis(order, middle[:, None], 1), 1)[:, 0]
    found: NDArray[Any] = np.clip(median, 0.0, 1.0)
    return found


def lower_median(values: NDArray[Any], weights: NDArray[Any]) -> float:
    """Lower weighted median of a row, (m,) and (m,)."""
    order = np.argsort(values)
    cumulated = np.cumsum(weights[order])
    return float(values[order[np.searchsorted(cumulated, cumulated[-1] / 2)]])


def cauchy_weights(residual: NDArray[Any], weight: NDArray[Any], scale: float) -> NDArray[Any]:
    """Weights of the next fit, (n,): a residual (n, d) of this length pulls half as much as none."""
    return np.asarray(weight / (1 + (residual * residual).sum(axis=1) / scale**2))


def _median_shift(shift_px: NDArray[Any], weight: NDArray[Any], alike: NDArray[np.bool_]) -> float:
    total = float((weight * alike).sum())
    return lower_median(shift_px[alike], weight[alike]) if total > 0 else float("inf")


def median_shift(agreement: Agreement, shift_px: NDArray[Any], weight: NDArray[Any]) -> float:
    """Median displacement of the tiles that correlate, under other weights; infinite where none does."""
    return _median_shift(shift_px, weight, agreement.correlations > MIN_LIKENESS)


def contrast_weight(deviation: NDArray[Any]) -> NDArray[Any]:
    """What a tile of this standard deviation counts, in [0, 1]."""
    return ramp(deviation, NO_CONTRAST, FULL_CONTRAST)


def tile_agreement(
    a: NDArray[np.uint8],
    b: NDArray[np.uint8],
    inside: NDArray[np.uint8] | None,
    tile_px: int,
    min_tiles: int,
) -> Agreement | None:
    """Agreement of two pictures of one size over the part where both exist.

    In each tile, `b` is fitted by the brightness and contrast of `a` and by a small shift (one step of
    B. Lucas and T. Kanade, "An iterative image registration technique", 1981): the shift is the tile's
    displacement, in pixels.

    Parameters
    ----------
    a, b : (H, W) uint8
        Grey values, lightly blurred so that sampling noise does not pass for difference.
    inside : (H, W) uint8 or None
        Not 0 where both pictures exist; None: everywhere.
    tile_px, min_tiles : int

    Returns
    -------
    Agreement or None
        None where fewer than `min_tiles` whole tiles overlap, or where the overlap is flat or holds nothing
        but edges of one direction, which lie over each other anywhere.
    """
    n_rows, n_columns = a.shape[0] // tile_px, a.shape[1] // tile_px
    if n_rows * n_columns < min_tiles:
        return None
    height, width = n_rows * tile_px, n_columns * tile_px
    planes = np.empty((4, height, width), np.float32)
    planes[0], planes[3] = a[:height, :width], b[:height, :width]
    planes[1:3] = 0
    # Central differences of b; the outermost pixels have none, which bends no inner tile's estimate.
    np.subtract(planes[3, :, 2:], planes[3, :, :-2], out=planes[1, :, 1:-1])
    np.subtract(planes[3, 2:], planes[3, :-2], out=planes[2, 1:-1])
    planes[1:3] *= 0.5
    tiles = planes.reshape(4, n_rows, tile_px, n_columns, tile_px).transpose(1, 3, 0, 2, 4)
    tiles = tiles.reshape(n_rows * n_columns, 4, tile_px * tile_px)
    rows, columns = np.divmod(np.arange(n_rows * n_columns, dtype=np.float32), np.float32(n_columns))
    places = (np.stack([columns, rows], axis=1) + np.float32(0.5)) * np.float32(tile_px)
    if inside is not None:
        whole = inside[:height, :width].reshape(n_rows, tile_px, n_columns, tile_px).all(axis=(1, 3))
        places, tiles = places[whole.ravel()], tiles[whole.ravel()]
        if len(tiles) < min_tiles:
            return None
    return _agreement_of(tiles, places)


def _agreement_of(tiles: NDArray[np.float32], places: NDArray[np.float32]) -> Agreement | None:
    """From tiles (n, 4, pixels) of a, the gradients of b along x and y, and b."""
    n_pixels = tiles.shape[2]
    mean = tiles.mean(axis=2)
    moments = tiles @ tiles.transpose(0, 2, 1) / n_pixels - mean[:, :, None] * mean[:, None, :]
    var_a, var_b = np.maximum(moments[:, 0, 0], 0), np.maximum(moments[:, 3, 3], 0)
    deviation = np.sqrt(np.maximum(var_a, var_b))
    weight = contrast_weight(deviation)
    if weight.mean() < MIN_MEAN_WEIGHT:
        return None
    xx, xy, yy = (float((weight * moments[:, i, j]).sum()) for i, j in ((1, 1), (1, 2), (2, 2)))
    if not has_two_directions(xx, xy, yy):
        return None
    correlation = moments[:, 0, 3] / np.sqrt(
        (var_a + OVERLAP_NOISE_VARIANCE) * (var_b + OVERLAP_NOISE_VARIANCE)
    )
    # The ridge keeps the shift of a tile with hardly any gradient at zero.
    normal = moments[:, :3, :3] + np.diag([1e-2, 0.5, 0.5]).astype(np.float32)
    shifts = -np.linalg.solve(normal, moments[:, :3, 3:])[:, 1:, 0]
    shift_px = np.hypot(shifts[:, 0], shifts[:, 1])
    agrees = (correlation > MIN_CORRELATION) & (shift_px < MAX_DISPLACEMENT_PX)
    return Agreement(
        share=float((weight * agrees).sum() / weight.sum()),
        correlation=min(1.0, max(0.0, lower_median(correlation, weight))),
        shift_px=_median_shift(shift_px, weight, correlation > MIN_LIKENESS),
        deviation=deviation,
        lesser_deviation=np.sqrt(np.minimum(var_a, var_b)),
        correlations=correlation,
        shifts=shifts,
        places=places,
    )


def edge_likeness(
    a: NDArray[np.uint8], b: NDArray[np.uint8], places: NDArray[np.float32], tile_px: int
) -> NDArray[np.float32]:
    """How far the edges of two pictures run the same way in the same places, tile by tile.

    Slopes at twice their angle, so that it does not matter which side of an edge is the brighter one
    (G. Granlund, "In search of a general picture processing operator", 1978), are correlated over each tile.

    Parameters
    ----------
    a, b : (H, W) uint8
        Grey values, lightly blurred.
    places : (n, 2) float32
        Centres (x, y) of the tiles, as in `Agreement`.
    tile_px : int

    Returns
    -------
    (n,) float32
        In [-1, 1]: 1 for the same edges, about 0 for edges that have nothing to do with each other.
    """
    height, width = (n // tile_px * tile_px for n in a.shape)
    (ua, va), (ub, vb) = (_double_angle_slopes(side[:height, :width]) for side in (a, b))

    def means(values: NDArray[np.float32]) -> NDArray[Any]:
        size = (width // tile_px, height // tile_px)
        return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA))

    energy_a, energy_b = (means(u * u + v * v) + EDGE_NOISE for u, v in ((ua, va), (ub, vb)))
    likeness = means(ua * ub + va * vb) / np.sqrt(energy_a * energy_b)
    columns, rows = (places // tile_px).astype(np.int64).T
    found: NDArray[np.float32] = likeness[rows, columns]
    return found


def _double_angle_slopes(gray: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The slope's vector, in levels a pixel, turned to twice its angle."""
    x, y = (cv2.Sobel(gray, cv2.CV_32F, *along, scale=1 / 8) for along in ((1, 0), (0, 1)))
    length = np.maximum(cv2.magnitude(x, y), 1e-6)
    return (x * x - y * y) / length, 2 * x * y / length
