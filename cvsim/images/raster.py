"""Arrays of pixels: size, orientation, thumbnails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import simplejpeg

if TYPE_CHECKING:
    from cvsim.types import RGB

_THUMBNAIL_QUALITY = 75  # libjpeg's own default


def fit(width_px: int, height_px: int, longest_px: int) -> tuple[int, int]:
    """(width, height) scaled so that the longer side is at most `longest_px`; never enlarged."""
    longest = max(width_px, height_px)
    if longest <= longest_px:
        return width_px, height_px
    return (
        max(1, (width_px * longest_px + longest // 2) // longest),
        max(1, (height_px * longest_px + longest // 2) // longest),
    )


def resize(rgb: RGB, width_px: int, height_px: int) -> RGB:
    """Shrink (h, w, 3) uint8 to (height_px, width_px, 3) by the mean of the area under each pixel.

    Bilinear up to a factor of two, where it is about that mean and ten times as fast.
    """
    height, width = rgb.shape[:2]
    if (height, width) == (height_px, width_px):
        return rgb
    is_slight = height <= 2 * height_px and width <= 2 * width_px
    method = cv2.INTER_LINEAR if is_slight else cv2.INTER_AREA
    return np.asarray(cv2.resize(rgb, (width_px, height_px), interpolation=method), np.uint8)


def swaps_sides(orientation: int) -> bool:
    """Whether an EXIF orientation turns width into height."""
    return orientation >= 5


def orient(rgb: RGB, orientation: int) -> RGB:
    """Apply an EXIF orientation (1 to 8) to (h, w) or (h, w, 3): the result is as it is meant to be seen."""
    if orientation == 2:
        turned = rgb[:, ::-1]
    elif orientation == 3:
        turned = rgb[::-1, ::-1]
    elif orientation == 4:
        turned = rgb[::-1]
    elif orientation == 5:
        turned = rgb.swapaxes(0, 1)
    elif orientation == 6:
        turned = rgb.swapaxes(0, 1)[:, ::-1]
    elif orientation == 7:
        turned = rgb.swapaxes(0, 1)[::-1, ::-1]
    elif orientation == 8:
        turned = rgb.swapaxes(0, 1)[::-1]
    else:
        turned = rgb
    return np.ascontiguousarray(turned)


def thumbnail(rgb: RGB, longest_px: int) -> bytes:
    """A small JPEG of the picture, its longer side at most `longest_px`."""
    width_px, height_px = fit(rgb.shape[1], rgb.shape[0], longest_px)
    if 2 * max(width_px, height_px) < max(rgb.shape[:2]) <= 4 * max(width_px, height_px):
        # Half of it is a mean of four, and fast; what remains is less than two to one.
        rgb = resize(rgb, (rgb.shape[1] + 1) // 2, (rgb.shape[0] + 1) // 2)
    small = np.ascontiguousarray(resize(rgb, width_px, height_px))
    return bytes(
        simplejpeg.encode_jpeg(small, quality=_THUMBNAIL_QUALITY, colorspace="RGB", colorsubsampling="420")
    )
