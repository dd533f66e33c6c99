"""Laying one picture over another under a transform, which is refined on the pixels."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from cvsim.features.overlay.appearance import Appearance, appearance_change, toned
from cvsim.features.overlay.color_function import unruled_share
from cvsim.features.overlay.correlation import (
    Agreement,
    cauchy_weights,
    contrast_weight,
    edge_likeness,
    tile_agreement,
)
from cvsim.features.overlay.outlines import area, clipped
from cvsim.features.overlay.recoloring import Colors, has_color, is_changed, recolored_share, sample
from cvsim.features.overlay.structure import Structure, centrality, structure
from cvsim.features.overlay.transforms import affine_least_squares, scale_of
from cvsim.features.overlay.writing import rewritten

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.features.overlay.borders import Extent
    from cvsim.features.overlay.transforms import Matrix, Points

MIN_OVERLAP_PX = 24
"""Shorter side of the smallest overlap that is compared, in raster pixels."""
OVERLAP_TILE_PX = 12
MIN_OVERLAP_TILES = 6
OVERLAP_BLUR_PX = 0.8
"""Rasters are blurred by this much, so that sampling noise does not pass for difference."""
_SEAM_POINTS = np.linspace(0.05, 0.95, 64)
_SEAM_OFFSETS = np.array([-5.0, -2.0, 2.0, 5.0])
_LITTLE_CHANGE = 3.0
"""Mean square of the changes along an outline, in grey levels, that says half as much as a large one. Chosen
with the limit of `seam`, `cvsim.scoring.relation.MIN_SEAM`, which names the data, as was the next one."""
_CLEAREST_BREAK = 3.0
"""What one side of an outline counts at most: a crop may end on a line of the picture, but not on four."""
MIN_SHIFT_PX = 0.12
"""Median displacement of the tiles from which a refined alignment may do better."""
REFOCUSED_CORRELATION = 0.85
"""Median correlation of the tiles from which one side may be the other, out of focus."""
MIN_STEEPNESS_RATIO = 1.04
"""Of two rasters' mean slopes, from which the steeper one is blurred to the other's."""
FOCUS_BLURS_PX, MIN_BLUR_PX = (0.7, 1.0, 1.4, 2.0, 2.8), 0.3
CLEAR_SHARE, HOPELESS_CORRELATION = 0.75, 0.4
"""Refinement is left out where the tiles agree already, or where nothing correlates."""
PARTLY_ALIKE = 0.1
"""Share of tiles that agree from which the rest may only be painted over."""
MIN_RECOLORED = 0.02
"""Share of recoloured tiles below which equal colours speak for a pair: only where there is colour."""
MIN_UNRULED = 0.1
"""Share of recoloured tiles below which it is not asked whether their colours are a function at all."""
MIN_REFINED_PX = 36
REFINEMENT = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 6, 1e-4)
SAME_SCENE_CORRELATION = 0.55
"""Median correlation of the tiles from which they may say together where they belong."""
N_REFINEMENTS, N_FITS = 5, 3
MIN_TRACKED, MAX_TRACKED_PX, MIN_TRACKED_TILES = 0.7, 2.0, 8
"""Correlation and displacement with which a tile says where it belongs, and how many must."""
TOLERATED_PX = 0.25
"""Median displacement that halves what an agreement is worth to the refinement."""
OUTLYING_PX = 0.3
"""Distance from the common motion at which a tile pulls half as much."""


def outline_transform(box_a: Extent, box_b: Extent, orientation: int) -> Matrix:
    """The map that lays one box over another in an orientation of `cvsim.features.orientation`."""
    ax0, ay0, ax1, ay1 = box_a
    bx0, by0, bx1, by1 = box_b
    unit_of_a = np.array(
        [[1 / (ax1 - ax0), 0, -ax0 / (ax1 - ax0)], [0, 1 / (ay1 - ay0), -ay0 / (ay1 - ay0)], [0, 0, 1]]
    )
    turned = np.eye(3)
    if orientation & 1:
        turned = np.array([[-1, 0, 1], [0, 1, 0], [0, 0, 1]]) @ turned
    if orientation & 2:
        turned = np.array([[1, 0, 0], [0, -1, 1], [0, 0, 1]]) @ turned
    if orientation & 4:
        turned = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1]]) @ turned
    b_of_unit = np.array([[bx1 - bx0, 0, bx0], [0, by1 - by0, by0], [0, 0, 1]])
    found: Matrix = (b_of_unit @ turned @ unit_of_a)[:2].astype(np.float64)
    return found


def rescaled(matrix: Matrix, source: float, target: float) -> Matrix:
    """The same map between pictures enlarged by the factors `source` and `target`."""
    return np.column_stack([matrix[:, :2] * (target / source), matrix[:, 2] * target])


def inverted(matrix: Matrix) -> Matrix:
    """The map back."""
    found: Matrix = cv2.invertAffineTransform(matrix)
    return found


@dataclass(frozen=True, eq=False)
class Laid:
    """The window in which one raster, warped, lies over another.

    Attributes
    ----------
    source, target : (h, w) uint8
        Both pictures in the window.
    inside : (h, w) uint8 or None
        Not 0 where both exist; None: everywhere.
    origin : (int, int)
        x, y of the window in the target's raster.
    """

    source: NDArray[np.uint8]
    target: NDArray[np.uint8]
    inside: NDArray[np.uint8] | None
    origin: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Colored:
    """The colours of a picture, to be looked up in raster pixels.

    Attributes
    ----------
    square : (32, 32, 3) uint8
    size : (width, height) of the raster
    box : Extent
        The part inside the borders.
    """

    square: NDArray[np.uint8]
    size: tuple[int, int]
    box: Extent

    def at(self, x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float32]:
        """Mean colours of groups of points, (n, m) each, to (n, 3) in 0 to 255."""
        found: NDArray[np.float32] = sample(self.square, x / self.size[0], y / self.size[1]).mean(axis=1)
        return found


def _is_inside(x: NDArray[Any], y: NDArray[Any], box: Extent) -> NDArray[np.bool_]:
    margin = OVERLAP_TILE_PX / 2
    x0, y0, x1, y1 = box
    return (x >= x0 + margin) & (x <= x1 - margin) & (y >= y0 + margin) & (y <= y1 - margin)


@dataclass(frozen=True, eq=False)
class Overlap:
    """Two rasters laid over each other.

    Attributes
    ----------
    matrix : (2, 3) float64
        From raster pixels of `a` to those of `b`, refined.
    agreement : Agreement
    laid : Laid
    is_reversed : bool
        `a` is the target, because it shows less detail.
    """

    matrix: Matrix
    agreement: Agreement
    laid: Laid
    is_reversed: bool = False

    def appearance(self) -> Appearance:
        """What happened to the grey values, from the more detailed side to the other."""
        return appearance_change(self.laid.source, self.laid.target, self.laid.inside)

    @functools.cached_property
    def likeness(self) -> NDArray[np.float32]:
        """Of the tiles' edges: see `correlation.edge_likeness`."""
        return edge_likeness(self.laid.source, self.laid.target, self.agreement.places, OVERLAP_TILE_PX)

    def structure(self, size_a: tuple[int, int], size_b: tuple[int, int]) -> Structure:
        """See `structure.structure`; the sizes (width, height) are those of the rasters."""
        x, y, u, v = self._places()
        source, target = (size_b, size_a) if self.is_reversed else (size_a, size_b)
        central = centrality(u, v, source) * centrality(x, y, target)
        a, b = self.laid.source, self.laid.target
        return structure(a, b, self.agreement, self.likeness, central, OVERLAP_TILE_PX)

    def rewritten(self) -> float:
        """See `writing.rewritten`."""
        return rewritten(self.laid.source, self.laid.target, self.agreement, OVERLAP_TILE_PX)

    def _places(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Centres of the tiles: x, y in the target's raster and u, v in the source's."""
        x, y = (self.agreement.places + np.asarray(self.laid.origin, np.float32)).T
        return x, y, *self._in_source(x, y)

    def _in_source(self, x: NDArray[Any], y: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        to_other = self.matrix if self.is_reversed else inverted(self.matrix)
        return (
            to_other[0, 0] * x + to_other[0, 1] * y + to_other[0, 2],
            to_other[1, 0] * x + to_other[1, 1] * y + to_other[1, 2],
        )

    def recolored(self, a: Colored, b: Colored) -> tuple[float | None, float]:
        """See `recoloring.recolored_share`; over the tiles that lie inside the borders of both.

        None where neither side has colour there. And of that, what is not even a function of the colours
        (`color_function.unruled_share`).
        """
        x, y, _, _ = self._places()
        offset = np.array([-OVERLAP_TILE_PX / 3, 0, OVERLAP_TILE_PX / 3], np.float32)
        x = np.repeat(x[:, None] + offset, 3, axis=1)  # nine points a tile
        y = np.tile(y[:, None] + offset, (1, 3))
        u, v = self._in_source(x, y)
        source, target = (b, a) if self.is_reversed else (a, b)
        inside = _is_inside(u[:, 4], v[:, 4], source.box) & _is_inside(x[:, 4], y[:, 4], target.box)
        if inside.sum() < MIN_OVERLAP_TILES:
            return None, 0.0
        before = Colors.of(source.at(u[inside], v[inside]))
        after = Colors.of(target.at(x[inside], y[inside]))
        share = unruled = 0.0
        if is_changed(before, after):
            tiles = before, after, self.agreement.deviation[inside], self.likeness[inside]
            share = recolored_share(*tiles)
            unruled = min(share, unruled_share(*tiles)) if share >= MIN_UNRULED else 0.0
        return share if share >= MIN_RECOLORED or has_color(before, after) else None, unruled


def lay_over(raster_a: NDArray[np.uint8], raster_b: NDArray[np.uint8], matrix: Matrix) -> Overlap | None:
    """Compare two rasters under a transform, refined on the pixels where that may help.

    The picture that shows more detail is shrunk onto the other one, so that both are equally sharp.

    Parameters
    ----------
    raster_a, raster_b : (h, w) uint8
        Lightly blurred, by `OVERLAP_BLUR_PX`.
    matrix : (2, 3) float64
        From raster pixels of `a` to those of `b`, edges at integers.

    Returns
    -------
    Overlap or None
        None where too little overlaps, or what overlaps is flat.
    """
    if scale_of(matrix) > 1:
        back = lay_over(raster_b, raster_a, inverted(matrix))
        return None if back is None else replace(back, matrix=inverted(back.matrix), is_reversed=True)
    source = _shrinkable(raster_a, scale_of(matrix))
    first = _overlap(source, raster_b, matrix)
    if first is None or first.agreement.share >= CLEAR_SHARE or _is_hopeless(first.agreement):
        return first
    return _retoned(_refocused(_refined(source, raster_b, first)))


def _is_hopeless(agreement: Agreement) -> bool:
    return agreement.correlation < HOPELESS_CORRELATION and agreement.share < PARTLY_ALIKE


def _refined(source: NDArray[np.uint8], target: NDArray[np.uint8], first: Overlap) -> Overlap:
    """The overlap under a better transform, if there is one.

    First the one under which all pixels correlate most. It is pulled aside by bars that a turn leaves in the
    corners, and by what was painted over, which is why the tiles are asked next.
    """
    best = first
    if best.agreement.shift_px >= MIN_SHIFT_PX:
        matrix = _correlated(source, target, best.matrix)
        moved = None if matrix is None else _overlap(source, target, matrix)
        if moved is not None and moved.agreement.share > best.agreement.share:
            best = moved
    for _ in range(N_REFINEMENTS):
        agreement = best.agreement
        is_same_scene = agreement.correlation >= SAME_SCENE_CORRELATION or agreement.share >= PARTLY_ALIKE
        if not is_same_scene or agreement.shift_px < MIN_SHIFT_PX:
            break
        motion = _common_motion(best)
        moved = None if motion is None else _overlap(source, target, composed(motion, best.matrix))
        if moved is None or _exactness(moved.agreement) <= _exactness(agreement):
            break
        best = moved
    return best


def _exactness(agreement: Agreement) -> float:
    """More for more tiles that agree, and for less displacement of those that are alike."""
    return agreement.share / (TOLERATED_PX + agreement.shift_px)


def _common_motion(overlap: Overlap) -> Matrix | None:
    """The affine map, in the target's raster, on which the displacements of most tiles agree.

    Iteratively reweighted least squares (P. Holland and R. Welsch, 1977) with Cauchy's weights.
    """
    agreement = overlap.agreement
    distance = np.hypot(*agreement.shifts.T)
    tracked = (agreement.correlations > MIN_TRACKED) & (distance < MAX_TRACKED_PX)
    if np.count_nonzero(tracked) < MIN_TRACKED_TILES:
        return None
    place = (agreement.places[tracked] + overlap.laid.origin).astype(np.float64)
    wanted = place + agreement.shifts[tracked]
    contrast = contrast_weight(agreement.deviation[tracked]) + 1e-6
    weight, motion = contrast, np.eye(2, 3)
    for _ in range(N_FITS):
        motion = affine_least_squares(place, wanted, weight)
        residual = place @ motion[:, :2].T + motion[:, 2] - wanted
        weight = cauchy_weights(residual, contrast, OUTLYING_PX)
    return motion


def composed(outer: Matrix, inner: Matrix) -> Matrix:
    """First the inner map, then the outer one."""
    return np.column_stack([outer[:, :2] @ inner[:, :2], outer[:, :2] @ inner[:, 2] + outer[:, 2]])


def _refocused(sharp: Overlap) -> Overlap:
    """The agreement at the sharpness of the softer side, where one of the two may only be out of focus."""
    agreement, laid = sharp.agreement, sharp.laid
    if agreement.share >= CLEAR_SHARE or agreement.correlation < REFOCUSED_CORRELATION:
        return sharp
    steep_a, steep_b = _steepness(laid.source), _steepness(laid.target)
    source, target = laid.source, laid.target
    if steep_a > steep_b * MIN_STEEPNESS_RATIO:
        source = _blurred_to(source, steep_b)
    elif steep_b > steep_a * MIN_STEEPNESS_RATIO:
        target = _blurred_to(target, steep_a)
    else:
        return sharp
    soft = tile_agreement(source, target, laid.inside, OVERLAP_TILE_PX, MIN_OVERLAP_TILES)
    return replace(sharp, agreement=soft) if soft is not None and soft.share > agreement.share else sharp


def _retoned(plain: Overlap) -> Overlap:
    """The agreement under a curve of tones, where highlights or shadows of one side may only be cut off."""
    agreement, laid = plain.agreement, plain.laid
    if agreement.share >= CLEAR_SHARE or agreement.correlation < REFOCUSED_CORRELATION:
        return plain
    best = plain
    for source, target in (
        (toned(laid.source, laid.target, laid.inside), laid.target),
        (laid.source, toned(laid.target, laid.source, laid.inside)),
    ):
        if source is not None and target is not None:
            other = tile_agreement(source, target, laid.inside, OVERLAP_TILE_PX, MIN_OVERLAP_TILES)
            if other is not None and other.share > best.agreement.share:
                best = replace(plain, agreement=other)
    return best


def _steepness(gray: NDArray[np.uint8]) -> float:
    """Mean slope relative to the contrast: blurring lowers it, brightness and contrast do not change it."""
    slopes = sum(float(np.abs(cv2.Sobel(gray, cv2.CV_16S, *along)).mean()) for along in ((1, 0), (0, 1)))
    return slopes / (float(gray.std()) + 1.0)


def _blurred_to(gray: NDArray[np.uint8], steepness: float) -> NDArray[np.uint8]:
    """The picture, blurred until it is no steeper than this."""
    blurred, sigma, steep = gray, 0.0, _steepness(gray)
    for next_sigma in FOCUS_BLURS_PX:
        blurred = cv2.GaussianBlur(gray, (0, 0), next_sigma)
        next_steep = _steepness(blurred)
        if next_steep <= steepness:
            # Between the last two steps the logarithm falls about evenly.
            share = np.log(steep / steepness) / max(np.log(steep / next_steep), 1e-9)
            between = sigma + float(share) * (next_sigma - sigma)
            return cv2.GaussianBlur(gray, (0, 0), between) if between > MIN_BLUR_PX else gray
        sigma, steep = next_sigma, next_steep
    return blurred


def _shrinkable(source: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    """The source, blurred so that a map that shrinks it leaves it as sharp as the target."""
    if scale >= 0.9:
        return source
    antialias = 0.5 / scale if scale < 0.8 else 0.0
    missing = (OVERLAP_BLUR_PX / scale) ** 2 - OVERLAP_BLUR_PX**2 + antialias**2
    found: NDArray[np.uint8] = cv2.GaussianBlur(source, (0, 0), missing**0.5)
    return found


def _centred(matrix: Matrix) -> Matrix:
    """From edges at integers to pixel centres at integers, which is how cv2 samples."""
    shift = matrix[:, 2] + matrix[:, :2] @ np.array([0.5, 0.5]) - 0.5
    return np.column_stack([matrix[:, :2], shift])


def _overlap(source: NDArray[np.uint8], target: NDArray[np.uint8], matrix: Matrix) -> Overlap | None:
    laid = _warped(source, target, matrix)
    if laid is None:
        return None
    agreement = tile_agreement(laid.source, laid.target, laid.inside, OVERLAP_TILE_PX, MIN_OVERLAP_TILES)
    return None if agreement is None else Overlap(matrix, agreement, laid)


def _warped(source: NDArray[np.uint8], target: NDArray[np.uint8], matrix: Matrix) -> Laid | None:
    """Both pictures in the window where they overlap; None where it is too small."""
    corners = mapped_corners(source.shape[1], source.shape[0], matrix)
    # A hundredth of a pixel is rounding, not another row.
    x0, y0 = np.maximum(np.floor(corners.min(axis=0) + 0.01), 0).astype(int).tolist()
    x1, y1 = (
        np.minimum(np.ceil(corners.max(axis=0) - 0.01), [target.shape[1], target.shape[0]])
        .astype(int)
        .tolist()
    )
    if min(x1 - x0, y1 - y0) < MIN_OVERLAP_PX:
        return None
    centred = _centred(matrix)
    centred[:, 2] -= (x0, y0)
    size = (x1 - x0, y1 - y0)
    warped = cv2.warpAffine(source, centred, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    is_upright = min(abs(matrix[0, 1]) + abs(matrix[1, 0]), abs(matrix[0, 0]) + abs(matrix[1, 1])) < 1e-6
    if is_upright:
        return Laid(warped, target[y0:y1, x0:x1], None, (x0, y0))
    ones = np.ones(source.shape, np.uint8)
    inside = cv2.warpAffine(ones, centred, size, flags=cv2.INTER_NEAREST)
    return Laid(warped, target[y0:y1, x0:x1], inside, (x0, y0))


def mapped_corners(width: float, height: float, matrix: Matrix) -> Points:
    """Corners of a picture in the other one, (4, 2), clockwise from the source's top left."""
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)
    return corners @ matrix[:, :2].T + matrix[:, 2]


def _correlated(source: NDArray[np.uint8], target: NDArray[np.uint8], matrix: Matrix) -> Matrix | None:
    """The map under which the pixels correlate most, or None where the search does not converge.

    G. Evangelidis and E. Psarakis, "Parametric image alignment using enhanced correlation coefficient
    maximization" (PAMI 2008).
    """
    # cv2 wants the map from the template (the target) into the input (the source), in float32.
    start = _centred(inverted(matrix)).astype(np.float32)
    # Half the size is a quarter of the work, and still exact to a tenth of a pixel.
    scale = 2 if min(*source.shape, *target.shape) >= 2 * MIN_REFINED_PX else 1
    if scale == 2:
        source, target = cv2.pyrDown(source), cv2.pyrDown(target)
        start[:, 2] /= 2
    try:
        _, found = cv2.findTransformECC(target, source, start, cv2.MOTION_AFFINE, REFINEMENT, None, 1)
    except cv2.error:
        return None  # did not converge: the first alignment stands
    linear = found[:, :2].astype(np.float64)
    shift = found[:, 2].astype(np.float64) * scale
    edges = np.column_stack([linear, shift - linear @ np.array([0.5, 0.5]) + 0.5])
    if abs(np.linalg.det(linear)) < 1e-6:
        return None
    return inverted(edges)


def coverage(box_a: Extent, box_b: Extent, matrix: Matrix) -> tuple[float, float]:
    """Shares of box `a` and of box `b` that the other one covers, each in [0, 1]."""
    x0, y0, x1, y1 = box_a
    outline = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float64) @ matrix[:, :2].T + matrix[:, 2]
    corners = outline.tolist()
    area_a, area_b = area(corners), float((box_b[2] - box_b[0]) * (box_b[3] - box_b[1]))
    if min(area_a, area_b) < 1:
        return 0.0, 0.0
    common = area(clipped(corners, box_b))
    return min(1.0, common / area_a), min(1.0, common / area_b)


def seam(raster: NDArray[np.uint8], outline: Points) -> float:
    """How sharply a picture breaks along an outline inside it: near 0 for no break, from 1.15 for a paste.

    The step across the outline, where it is of middling size, is compared with the steps just inside and just
    outside it: a paste breaks all along, lines that cross the outline of a crop do so in places. What changes
    along the outline changes alike on both sides of it where the picture goes on. Only sides away from the
    picture's own border count.

    Parameters
    ----------
    raster : (h, w) uint8
    outline : (4, 2)
        Corners of the contained picture, in raster pixels.
    """
    h, w = raster.shape
    starts, ends = outline, outline[[1, 2, 3, 0]]
    along = ends - starts
    length = np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-9)
    outward = np.stack([along[:, 1], -along[:, 0]], axis=1) / length[:, None]
    inward = ((starts + ends) / 2 - outline.mean(axis=0)) * outward
    outward[inward.sum(axis=1) < 0] *= -1
    # (side, point, distance from the outline, xy)
    line = starts[:, None] + _SEAM_POINTS[:, None] * along[:, None]
    points = (line[:, :, None] + _SEAM_OFFSETS[:, None] * outward[:, None, None] - 0.5).astype(np.float32)
    inside = (points >= 0).all(axis=(1, 2, 3)) & (points <= (w - 1, h - 1)).all(axis=(1, 2, 3))
    sides = np.flatnonzero(inside & (length >= 8))
    if not len(sides):
        return 0.0
    flat = points[sides].reshape(-1, 1, 2)
    values = cv2.remap(raster.astype(np.float32), flat, None, cv2.INTER_LINEAR)
    values = values.reshape(len(sides), len(_SEAM_POINTS), 4)
    steps = np.abs(np.diff(values, axis=2))
    beside = steps[:, :, [0, 2]].mean(axis=(1, 2))
    ratios = np.minimum(np.median(steps[:, :, 1], axis=1) / (beside + 2.0), _CLEAREST_BREAK)
    goes_on = _correlation(*np.diff(values[:, :, 1:3], axis=1).transpose(2, 0, 1))
    return float(np.average(ratios * (1 - np.maximum(goes_on, 0)), weights=length[sides]))


def _correlation(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of rows of changes in grey levels, (n, m) each: (n,), about 0 where next to nothing changes."""
    size = np.sqrt((a * a).mean(axis=1) * (b * b).mean(axis=1))
    return np.asarray((a * b).mean(axis=1) / (size + _LITTLE_CHANGE), np.float32)


def surround(raster: NDArray[np.uint8], outline: Points) -> float:
    """Standard deviation of what a picture shows outside an outline, in grey levels; 0 if nothing.

    A painted border or bars are uniform; what a part was cut from, or pasted into, is not.
    """
    mask = np.full(raster.shape, 255, np.uint8)
    grown = outline + np.sign(outline - outline.mean(axis=0)) * 2.0
    cv2.fillConvexPoly(mask, np.round(grown).astype(np.int32), 0)
    if cv2.countNonZero(mask) < 16:
        return 0.0
    return float(cv2.meanStdDev(raster, mask=mask)[1][0, 0])
