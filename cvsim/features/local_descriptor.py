"""What is kept of one picture to lay it over another: keypoints, a grey raster, colours."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from cvsim.features.ground import laid_on
from cvsim.features.orientation import N_ORIENTATIONS, turn
from cvsim.features.overlay.alignment import Colored
from cvsim.features.overlay.borders import Extent, content_box

if TYPE_CHECKING:
    from numpy.typing import NDArray

OUTLINE_SIDE_PX = 16
KEYPOINT = np.dtype([("x", "<f4"), ("y", "<f4"), ("angle", "u1"), ("level", "u1"), ("bits", "u1", (32,))])
"""Position in pixels of the working picture, angle in 1/256 of a turn, pyramid level, ORB descriptor."""


@dataclass(frozen=True, eq=False)
class LocalDescriptor:
    """Keypoints and the grey raster of one picture.

    Attributes
    ----------
    width_px, height_px : int
        Of the working picture, in which keypoint positions are given.
    keypoints : (n,) array of `KEYPOINT`
        The strongest of each grid cell in turn; none where the picture has too few.
    raster : (h, w) uint8
        The grey picture, its longer side 192 px, lightly blurred.
    colors : (32, 32, 3) uint8
        The whole picture as a small square, RGB.
    grain : float
        Noise and finest detail of the working picture, in grey levels, in steps of 0.01.
    drawn : float
        Share of the working picture that has no grain at all, in steps of 0.001: print and drawings have
        much, what a camera took hardly any.
    mirrored : (m,) array of `KEYPOINT`
        Some of the keypoints, as they are in the picture mirrored left to right.
    alpha : (h, w) uint8 or None
        Of a cut-out, which the raster and the colours show on white.
    bare_raster, bare_colors : arrays like `raster` and `colors`, or None
        Of a cut-out without its alpha, where that shows more than a ground of one colour.
    """

    width_px: int
    height_px: int
    keypoints: NDArray[Any]
    raster: NDArray[np.uint8]
    colors: NDArray[np.uint8]
    grain: float
    drawn: float
    mirrored: NDArray[Any]
    alpha: NDArray[np.uint8] | None = None
    bare_raster: NDArray[np.uint8] | None = None
    bare_colors: NDArray[np.uint8] | None = None

    @functools.cached_property
    def boxes(self) -> tuple[Extent, ...]:
        """What may be laid over another outline, in raster pixels: the whole, the part inside its borders."""
        whole = (0, 0, self.raster.shape[1], self.raster.shape[0])
        inner = content_box(self.raster)
        return (whole,) if inner is None else (whole, inner)

    @functools.cached_property
    def outlines(self) -> NDArray[np.float32]:
        """Each box as a small square of mean 0 and norm 1, (n_boxes, 256)."""
        whole, *inner = self.boxes
        return np.stack([_outline_square(self.raster, b).ravel() for b in (whole, *map(_off_border, inner))])

    @functools.cached_property
    def turned_outlines(self) -> NDArray[np.float32]:
        """`outlines` in the eight orientations, (n_boxes * 8, 256)."""
        side = (OUTLINE_SIDE_PX, OUTLINE_SIDE_PX)
        squares = [turn(o.reshape(side), k).ravel() for o in self.outlines for k in range(N_ORIENTATIONS)]
        return np.stack(squares)

    @functools.cached_property
    def unbordered(self) -> NDArray[np.uint8]:
        """The raster with its borders painted over by what lies at their inner edge, where it has any."""
        height, width = self.raster.shape
        x0, y0, x1, y1 = _off_border(self.boxes[-1])
        if len(self.boxes) == 1:
            return self.raster
        inner = self.raster[y0:y1, x0:x1]
        sides = y0, height - y1, x0, width - x1
        return np.asarray(cv2.copyMakeBorder(inner, *sides, cv2.BORDER_REPLICATE), np.uint8)

    @functools.cached_property
    def colored(self) -> Colored:
        """The colours, to be looked up in raster pixels."""
        height, width = self.raster.shape
        return Colored(self.colors, (width, height), self.boxes[-1])

    @functools.cached_property
    def detail(self) -> float:
        """Mean step of the raster's second differences, relative to its deviation."""
        steps = np.abs(cv2.Laplacian(self.raster, cv2.CV_16S)).mean()
        return float((steps + 0.1) / (self.raster.std() + 1.0))

    def on(self, gray: float, color: NDArray[np.float32]) -> LocalDescriptor:
        """A cut-out on another ground than white: of this grey level, and of this colour."""
        if self.alpha is None:
            return self
        height, width = self.colors.shape[:2]
        alpha = cv2.resize(self.alpha, (width, height), interpolation=cv2.INTER_AREA)
        return replace(
            self,
            raster=laid_on(self.raster, self.alpha, gray),
            colors=laid_on(self.colors, np.asarray(alpha, np.uint8), color),
            alpha=None,
        )

    @property
    def bare(self) -> LocalDescriptor | None:
        """A cut-out without its alpha, where that is another picture."""
        if self.bare_raster is None or self.bare_colors is None:
            return None
        return replace(self, raster=self.bare_raster, colors=self.bare_colors, alpha=None)

    @property
    def raster_scale(self) -> float:
        return float(max(self.raster.shape) / max(self.width_px, self.height_px))


def _off_border(box: Extent) -> Extent:
    """A box without its outermost pixels: the border's blur lies on them, and outweighs pale content."""
    x0, y0, x1, y1 = box
    return (x0 + 1, y0 + 1, x1 - 1, y1 - 1) if min(x1 - x0, y1 - y0) >= OUTLINE_SIDE_PX else box


def _outline_square(raster: NDArray[np.uint8], box: Extent) -> NDArray[np.float32]:
    """The box as a small square of mean 0 and norm 1."""
    x0, y0, x1, y1 = box
    side = (OUTLINE_SIDE_PX, OUTLINE_SIDE_PX)
    square = cv2.resize(raster[y0:y1, x0:x1], side, interpolation=cv2.INTER_AREA).astype(np.float32)
    square -= square.mean()
    found: NDArray[np.float32] = square / max(float(np.linalg.norm(square)), 1.0)
    return found
