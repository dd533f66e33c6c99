"""Sharpness: how steep the steepest edges of a picture are, at one size for all and against its own contrast.

For the keep rule ``sharpest``: of the frames of a burst, one is in focus and was not shaken.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import cv2
import numpy as np

from cvsim.features.base import Measure
from cvsim.features.picture import Picture

if TYPE_CHECKING:
    from cvsim.types import RGB

STEEPEST_PERCENT = 99.0
"""Edges as steep as the steepest hundredth of the picture.

Of ten measures (Laplacian and Tenengrad, against the contrast or not, by tiles, each plain and smoothed) it
puts a sharp frame before a shaken or defocused one of another view and exposure nearly most often, also where
the blurred one is noisy, and varies least between frames that are equally sharp: chosen on frames of part a
of the copy set's photographs (0.995 of pairs right; the Tenengrad 0.975, against the contrast 0.994). On part
b it has 0.981, the others 0.975 and 0.989."""
LEAST_CONTRAST = 1.0
"""Added to the contrast, in grey levels, so that a picture of nothing has a sharpness, too."""
_NUMBER = struct.Struct("<d")


class Sharpness(Measure[float]):
    """The steepness of edges over the standard deviation of grey levels; larger is sharper.

    Pictures that are smaller than the working size are enlarged to it, and show as little as they do.
    """

    name = "sharpness"

    def extract(self, rgb: RGB) -> float:
        return self.extract_from(Picture(rgb))

    def extract_from(self, picture: Picture) -> float:
        height_px, width_px = picture.gray.shape
        scale = self.working_px / max(height_px, width_px)
        size = (max(1, round(width_px * scale)), max(1, round(height_px * scale)))
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        gray = cv2.resize(picture.gray, size, interpolation=way).astype(np.float32)
        across, down = (cv2.Sobel(gray, cv2.CV_32F, *axis) for axis in ((1, 0), (0, 1)))
        steepest = np.percentile(cv2.magnitude(across, down), STEEPEST_PERCENT)
        return round(float(steepest / (gray.std() + LEAST_CONTRAST)), 4)

    def to_bytes(self, descriptor: float) -> bytes:
        return _NUMBER.pack(descriptor)

    def from_bytes(self, data: bytes) -> float:
        return float(_NUMBER.unpack(data)[0])
