"""Gradient layout: which way the edges run in each part of the picture.

It sees the shape of a product and not its colour: the same shirt in red and in blue has one gradient
layout. Histograms of oriented gradients (Dalal and Triggs, 2005) on a coarse grid, taken from the picture
and its mirror image together, so that a mirrored picture has the very same descriptor. On a plain
background (catalogue photos) the grid is laid over the product alone.
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

GRADIENT_PX = 128
N_CELLS = 8
N_DIRECTIONS = 9
GRADIENT_BLUR_PX = 1.0
"""Smooths away noise and the blocks of JPEG before edges are taken."""
NOISE_MAGNITUDE = 8.0
"""Added to the local contrast that gradients are divided by, so that noise in a flat area stays small."""
MIN_CONTRAST = 2.0
"""Mean gradient magnitude below which a picture has no shape to speak of."""


MIN_PLAIN_SHARE = 0.55
"""Share of the picture's edge that must be of one colour for the background to count as plain."""
PLAIN_DISTANCE, PRODUCT_DISTANCE = 6.0, 8.0
"""Distance in Lab from the edge's median: up to which is background, and from which product."""
MIN_PRODUCT_SHARE = 0.02
TRIMMED_SHARE = 0.005
"""Of the product's pixels, left out at each side of the frame: specks and shadows."""


class GradientLayout(VectorFeature):
    """Directions of gradients on an 8 x 8 grid, whichever way the picture is mirrored.

    A descriptor has 8 * 8 * 9 values. A picture without edges has none.
    """

    name = "gradient"

    @property
    def n_dims(self) -> int:
        return N_CELLS * N_CELLS * N_DIRECTIONS

    @property
    def params(self) -> Mapping[str, Any]:
        return {"side_px": GRADIENT_PX, "n_cells": N_CELLS, "n_directions": N_DIRECTIONS}

    def vector(self, rgb: RGB) -> NDArray[np.float32] | None:
        square = cv2.resize(framed(rgb), (GRADIENT_PX, GRADIENT_PX), interpolation=cv2.INTER_AREA).astype(
            np.float32
        )
        dx, dy, magnitude = _strongest_gradient(cv2.GaussianBlur(square, (0, 0), GRADIENT_BLUR_PX))
        if magnitude.mean() < MIN_CONTRAST:
            return None
        weight = magnitude / (_local_contrast(magnitude) + NOISE_MAGNITUDE)
        cells = _cells(dx, dy, weight)
        # Square roots let many weak edges speak beside a few strong ones (Hellinger's kernel).
        found: NDArray[np.float32] = np.sqrt(cells + _mirrored(cells)).ravel()
        return found


def framed(rgb: RGB) -> RGB:
    """The part of the picture that holds the product, where the background is plain; else all of it."""
    small = cv2.resize(rgb, (GRADIENT_PX, GRADIENT_PX), interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    edge = np.concatenate([lab[:3].reshape(-1, 3), lab[-3:].reshape(-1, 3)])
    edge = np.concatenate([edge, lab[:, :3].reshape(-1, 3), lab[:, -3:].reshape(-1, 3)])
    background = np.median(edge, axis=0)
    if (np.linalg.norm(edge - background, axis=1) < PLAIN_DISTANCE).mean() < MIN_PLAIN_SHARE:
        return rgb
    product = np.linalg.norm(lab - background, axis=2) > PRODUCT_DISTANCE
    if product.mean() < MIN_PRODUCT_SHARE:
        return rgb
    rows, columns = (_extent(product.sum(axis=axis), n) for axis, n in ((1, rgb.shape[0]), (0, rgb.shape[1])))
    found = rgb[rows, columns]
    return found if min(found.shape[:2]) >= N_CELLS else rgb


def _extent(counts: NDArray[np.integer], n_px: int) -> slice:
    """Where the counts lie, but for a little at either end; in pixels of the full picture."""
    share = np.cumsum(counts) / counts.sum()
    reversed_share = np.cumsum(counts[::-1]) / counts.sum()
    first = int(np.searchsorted(share, TRIMMED_SHARE))
    last = len(counts) - int(np.searchsorted(reversed_share, TRIMMED_SHARE))
    return slice(first * n_px // len(counts), -(-last * n_px // len(counts)))


def _strongest_gradient(square: Any) -> tuple[Any, Any, Any]:
    """(dx, dy, magnitude), (h, w) each, of the colour channel whose gradient is strongest."""
    dx, dy = cv2.Sobel(square, cv2.CV_32F, 1, 0), cv2.Sobel(square, cv2.CV_32F, 0, 1)
    magnitude = np.sqrt(dx * dx + dy * dy)
    channel = magnitude.argmax(axis=2)[..., None]
    dx, dy, magnitude = (np.take_along_axis(m, channel, 2)[..., 0] for m in (dx, dy, magnitude))
    return dx, dy, magnitude


def _local_contrast(magnitude: NDArray[np.float32]) -> NDArray[np.float32]:
    """Root mean square of the magnitude around each pixel: a dark garment has edges as a light one does."""
    found: NDArray[np.float32] = np.sqrt(
        cv2.GaussianBlur(magnitude * magnitude, (0, 0), GRADIENT_PX / N_CELLS)
    )
    return found


def _cells(
    dx: NDArray[np.float32], dy: NDArray[np.float32], weight: NDArray[np.float32]
) -> NDArray[np.float32]:
    """(8, 8, 9) histograms of direction modulo a half turn, soft in direction and in place."""
    direction = (np.arctan2(dy, dx) % np.pi) * np.float32(N_DIRECTIONS / np.pi)
    lower = np.floor(direction)
    share = direction - lower
    first = lower.astype(np.int64) % N_DIRECTIONS
    maps = np.zeros((N_DIRECTIONS, GRADIENT_PX, GRADIENT_PX), np.float32)
    np.put_along_axis(maps, first[None], (weight * (1 - share))[None], 0)
    second = (first + 1) % N_DIRECTIONS
    np.put_along_axis(maps, second[None], (weight * share)[None], 0)
    step = GRADIENT_PX // N_CELLS
    # Half a pixel beside the cells' centres; the same on either side after mirroring, see `_mirrored`.
    blurred = [cv2.blur(cv2.GaussianBlur(m, (0, 0), step / 2), (2, 2)) for m in maps]
    cells = np.stack([m[step // 2 :: step, step // 2 :: step] for m in blurred], axis=-1)
    found: NDArray[np.float32] = np.maximum(cells, 0)
    return found


def _mirrored(cells: NDArray[np.float32]) -> NDArray[np.float32]:
    """The cells of the mirrored picture: columns reversed, direction d becomes -d modulo a half turn."""
    directions = -np.arange(N_DIRECTIONS) % N_DIRECTIONS
    return cells[:, ::-1, directions]
