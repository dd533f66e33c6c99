"""Shrinking working pictures by the mean of the area under each pixel, at the speed of a bilinear one.

OpenCV takes area means fast only where a whole number of pixels falls on each. So a picture is first
brought to such a size by bilinear interpolation, which is an area mean itself up to a factor of two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

INTERMEDIATE_PX = 256


def square(
    pixels: NDArray[np.uint8], side_px: int, between: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8]:
    """A picture, (h, w) or (h, w, 3), as a square of `side_px`, a power of two up to 256.

    `between` is `halfway(pixels)`, for those who want squares of several sizes.
    """
    if pixels.shape[:2] != (2 * side_px, 2 * side_px):
        pixels = halfway(pixels) if between is None else between
    return _resized(pixels, side_px, side_px, cv2.INTER_AREA)


def halfway(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A square of `INTERMEDIATE_PX`; what is far larger stays as it is."""
    if max(pixels.shape[:2]) > 2 * INTERMEDIATE_PX:
        return pixels
    return _resized(pixels, INTERMEDIATE_PX, INTERMEDIATE_PX, cv2.INTER_LINEAR)


def rough_square(pixels: NDArray[np.uint8], side_px: int) -> NDArray[np.uint8]:
    """A picture as a square of `side_px` from a part of its pixels, for what does not look where they are."""
    return _resized(pixels, side_px, side_px, cv2.INTER_LINEAR)


def mean_square(pixels: NDArray[np.uint8], side_px: int) -> NDArray[np.uint8]:
    """A square whose side is a multiple of `side_px`, shrunk."""
    return _resized(pixels, side_px, side_px, cv2.INTER_AREA)


def shrunk(pixels: NDArray[np.uint8], longest_px: int) -> NDArray[np.uint8]:
    """A picture with its longer side at most `longest_px`; a smaller one as it is."""
    height, width = pixels.shape[:2]
    scale = longest_px / max(height, width)
    if scale >= 1:
        return pixels
    width, height = max(1, round(width * scale)), max(1, round(height * scale))
    if scale >= 1 / 2:
        return _resized(pixels, width, height, cv2.INTER_LINEAR)
    if scale >= 1 / 4:
        pixels = _resized(pixels, 2 * width, 2 * height, cv2.INTER_LINEAR)
    return _resized(pixels, width, height, cv2.INTER_AREA)


def _resized(pixels: NDArray[np.uint8], width: int, height: int, method: int) -> NDArray[np.uint8]:
    if pixels.shape[:2] == (height, width):
        return pixels
    resized: NDArray[np.uint8] = cv2.resize(pixels, (width, height), interpolation=method)
    return resized
