"""One transform between two pictures: proposed by keypoints or by the outlines, refined on the pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from cvsim.features.appearance import Appearance, appearance_change
from cvsim.features.correlation import Agreement, tile_agreement

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.features.borders import Box

    Matrix = NDArray[np.float64]
    """(2, 3): maps a point (x, y, 1) in pixels of one picture to (x, y) of the other."""
    Points = NDArray[np.float64]
    """(n, 2), x before y."""

MIN_INLIERS = 5
MIN_SCALE, MAX_SCALE = 0.2, 5.0
MAX_ANISOTROPY = 1.6
COARSE_PX, COARSE_SLOPE = 4.0, 0.12
"""A single keypoint's scale and angle are rough: the tolerance of its proposal grows with the distance."""
FINE_PX = 4.0
CELL_PX = 10.0
"""Inliers are counted by the cells they fall in, on both sides: a heap of keypoints on one spot is one."""
MIN_OVERLAP_PX = 24
"""Shorter side of the smallest overlap that is compared, in raster pixels."""
TILE_PX = 12
MIN_TILES = 6
BLUR_PX = 0.8
"""Rasters are blurred by this much, so that sampling noise does not pass for difference."""
MIN_SHIFT_PX = 0.12
"""Median displacement of the tiles from which a refined alignment may do better."""
SOFT_BLUR_PX, SOFT_CORRELATION = 2.0, 0.85
CLEAR_SHARE, HOPELESS_CORRELATION = 0.75, 0.4
"""Refinement is left out where the tiles agree already, or where nothing correlates."""
REFINEMENT = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 6, 1e-4)


@dataclass(frozen=True, eq=False)
class Proposal:
    """A transform that the keypoints agree on.

    Attributes
    ----------
    matrix : (2, 3) float64
        From working pixels of `a` to those of `b`.
    inliers : (n,) int64
        Rows of the matches that follow it.
    n_spread : int
        Distinct cells that the inliers cover, on the side where they cover fewer.
    """

    matrix: Matrix
    inliers: NDArray[np.int64]
    n_spread: int


def fit_transform(a: NDArray[Any], b: NDArray[Any]) -> Proposal | None:
    """The plausible transform that most spread matches agree on.

    Every match proposes the similarity transform of its own position, angle and level; the proposal with
    most followers is refined by least squares. Nothing is sampled at random: the same matches give the
    same answer.

    Parameters
    ----------
    a, b : (n,) arrays with fields x, y, angle (1/256 turns) and level
        Matched one to one, row by row.
    """
    if len(a) < MIN_INLIERS:
        return None
    p = np.stack([a["x"], a["y"]], axis=1).astype(np.float64)
    q = np.stack([b["x"], b["y"]], axis=1).astype(np.float64)
    scale = 1.2 ** (b["level"].astype(np.float64) - a["level"])
    angle = (b["angle"].astype(np.float64) - a["angle"]) * (2 * np.pi / 256)
    inliers = _largest_consensus(p, q, scale, angle)
    for _ in range(3):
        if len(inliers) < MIN_INLIERS:
            return None
        matrix = similarity_least_squares(p[inliers], q[inliers])
        inliers = _followers(matrix, p, q)
    n_spread = spread_count(p[inliers], q[inliers])
    if n_spread >= 8:
        affine = affine_least_squares(p[inliers], q[inliers])
        if is_plausible(affine):
            matrix = affine
            inliers = _followers(matrix, p, q)
            n_spread = spread_count(p[inliers], q[inliers])
    if n_spread < MIN_INLIERS or not is_plausible(matrix):
        return None
    return Proposal(matrix, inliers, n_spread)


def _largest_consensus(p: Points, q: Points, scale: NDArray[Any], angle: NDArray[Any]) -> NDArray[np.int64]:
    """Rows that follow the single-match proposal with most followers."""
    # Complex numbers hold a similarity in one product: error = turn * (p_j - p_i) - (q_j - q_i).
    turn = (scale * np.exp(1j * angle)).astype(np.complex64)
    zp, zq = (p[:, 0] + 1j * p[:, 1]).astype(np.complex64), (q[:, 0] + 1j * q[:, 1]).astype(np.complex64)
    moved = turn[:, None] * (zp[None, :] - zp[:, None])
    error = np.abs(moved - (zq[None, :] - zq[:, None]))
    follows = error <= COARSE_PX * np.maximum(scale, 1)[:, None] + COARSE_SLOPE * np.abs(moved)
    return np.flatnonzero(follows[int(np.argmax(follows.sum(axis=1)))])


def _followers(matrix: Matrix, p: Points, q: Points) -> NDArray[np.int64]:
    error = np.hypot(*(p @ matrix[:, :2].T + matrix[:, 2] - q).T)
    return np.flatnonzero(error <= FINE_PX * max(1.0, scale_of(matrix)))


def similarity_least_squares(p: Points, q: Points) -> Matrix:
    """Scale, rotation and shift from `p` to `q`."""
    pm, qm = p.mean(axis=0), q.mean(axis=0)
    u, v = p - pm, q - qm
    norm = max(float((u * u).sum()), 1e-9)
    c = float((u * v).sum()) / norm
    s = float((u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]).sum()) / norm
    rotation = np.array([[c, -s], [s, c]])
    return np.column_stack([rotation, qm - rotation @ pm])


def affine_least_squares(p: Points, q: Points) -> Matrix:
    """Affine map from `p` to `q`."""
    pm, qm = p.mean(axis=0), q.mean(axis=0)
    u, v = p - pm, q - qm
    linear = np.linalg.solve(u.T @ u + 1e-9 * np.eye(2), u.T @ v).T
    return np.column_stack([linear, qm - linear @ pm])


def scale_of(matrix: Matrix) -> float:
    """Side length in the target of a unit square in the source."""
    return abs(matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0]) ** 0.5


def is_plausible(matrix: Matrix) -> bool:
    """Whether the map is no mirror, and neither extreme in scale nor far from a similarity."""
    (a, b), (c, d) = matrix[:, :2]
    if a * d - b * c <= 0:
        return False
    # Singular values of a 2 x 2 matrix in closed form.
    sum_, difference = np.hypot(a + d, c - b), np.hypot(a - d, c + b)
    large, small = (sum_ + difference) / 2, (sum_ - difference) / 2
    return bool(small >= MIN_SCALE and large <= MAX_SCALE and large <= MAX_ANISOTROPY * small)


def spread_count(p: Points, q: Points) -> int:
    """How many distinct cells the matches cover, on the side where they cover fewer."""
    cells = [(side // CELL_PX) @ np.array([10_000.0, 1.0]) for side in (p, q)]
    return min(len(set(c.tolist())) for c in cells)


def outline_transform(box_a: Box, box_b: Box, orientation: int) -> Matrix:
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
    return (b_of_unit @ turned @ unit_of_a)[:2].astype(np.float64)


def rescaled(matrix: Matrix, source: float, target: float) -> Matrix:
    """The same map between pictures enlarged by the factors `source` and `target`."""
    return np.column_stack([matrix[:, :2] * (target / source), matrix[:, 2] * target])


def inverted(matrix: Matrix) -> Matrix:
    """The map back."""
    return cv2.invertAffineTransform(matrix)


@dataclass(frozen=True, eq=False)
class Overlap:
    """Two rasters laid over each other.

    Attributes
    ----------
    matrix : (2, 3) float64
        From raster pixels of `a` to those of `b`, refined.
    agreement : Agreement
    """

    matrix: Matrix
    agreement: Agreement


def lay_over(raster_a: NDArray[np.uint8], raster_b: NDArray[np.uint8], matrix: Matrix) -> Overlap | None:
    """Compare two rasters under a transform, refined on the pixels where that may help.

    The picture that shows more detail is shrunk onto the other one, so that both are equally sharp. The
    refinement is G. Evangelidis and E. Psarakis, "Parametric image alignment using enhanced correlation
    coefficient maximization" (PAMI 2008).

    Parameters
    ----------
    raster_a, raster_b : (h, w) uint8
        Lightly blurred, by `BLUR_PX`.
    matrix : (2, 3) float64
        From raster pixels of `a` to those of `b`, edges at integers.

    Returns
    -------
    Overlap or None
        None where too little overlaps, or what overlaps is flat.
    """
    if scale_of(matrix) > 1:
        back = lay_over(raster_b, raster_a, inverted(matrix))
        return None if back is None else Overlap(inverted(back.matrix), back.agreement)
    source = _shrinkable(raster_a, scale_of(matrix))
    first = _agreement(source, raster_b, matrix)
    if first is None or first.share >= CLEAR_SHARE or first.correlation < HOPELESS_CORRELATION:
        return None if first is None else Overlap(matrix, first)
    if first.shift_px >= MIN_SHIFT_PX:
        refined = _refined(source, raster_b, matrix)
        second = None if refined is None else _agreement(source, raster_b, refined)
        if refined is not None and second is not None and second.share > first.share:
            matrix, first = refined, second
    return Overlap(matrix, _softened(source, raster_b, matrix, first))


def _softened(
    source: NDArray[np.uint8], target: NDArray[np.uint8], matrix: Matrix, sharp: Agreement
) -> Agreement:
    """The agreement at lower resolution, where one of the two may only be out of focus."""
    if sharp.share >= CLEAR_SHARE or sharp.correlation < SOFT_CORRELATION:
        return sharp
    soft_source, soft_target = (cv2.GaussianBlur(g, (0, 0), SOFT_BLUR_PX) for g in (source, target))
    soft = _agreement(soft_source, soft_target, matrix)
    return soft if soft is not None and soft.share > sharp.share else sharp


def appearance_under(
    raster_a: NDArray[np.uint8], raster_b: NDArray[np.uint8], matrix: Matrix
) -> Appearance | None:
    """What happened to the grey values from `a` to `b` under a map of raster pixels."""
    if scale_of(matrix) > 1:
        return appearance_under(raster_b, raster_a, inverted(matrix))
    laid = _warped(_shrinkable(raster_a, scale_of(matrix)), raster_b, matrix)
    return None if laid is None else appearance_change(*laid)


def _shrinkable(source: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    """The source, blurred so that a map that shrinks it leaves it as sharp as the target."""
    if scale >= 0.9:
        return source
    antialias = 0.5 / scale if scale < 0.8 else 0.0
    missing = (BLUR_PX / scale) ** 2 - BLUR_PX**2 + antialias**2
    return cv2.GaussianBlur(source, (0, 0), missing**0.5)


def _centred(matrix: Matrix) -> Matrix:
    """From edges at integers to pixel centres at integers, which is how cv2 samples."""
    shift = matrix[:, 2] + matrix[:, :2] @ np.array([0.5, 0.5]) - 0.5
    return np.column_stack([matrix[:, :2], shift])


def _agreement(source: NDArray[np.uint8], target: NDArray[np.uint8], matrix: Matrix) -> Agreement | None:
    laid = _warped(source, target, matrix)
    return None if laid is None else tile_agreement(*laid, TILE_PX, MIN_TILES)


def _warped(
    source: NDArray[np.uint8], target: NDArray[np.uint8], matrix: Matrix
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8] | None] | None:
    """Both pictures in the window where they overlap, and where in it both exist (None: everywhere)."""
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
        return warped, target[y0:y1, x0:x1], None
    ones = np.ones(source.shape, np.uint8)
    return warped, target[y0:y1, x0:x1], cv2.warpAffine(ones, centred, size, flags=cv2.INTER_NEAREST)


def mapped_corners(width: float, height: float, matrix: Matrix) -> Points:
    """Corners of a picture in the other one, (4, 2), clockwise from the source's top left."""
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)
    return corners @ matrix[:, :2].T + matrix[:, 2]


def _refined(source: NDArray[np.uint8], target: NDArray[np.uint8], matrix: Matrix) -> Matrix | None:
    # cv2 wants the map from the template (the target) into the input (the source), in float32.
    start = _centred(inverted(matrix)).astype(np.float32)
    try:
        _, found = cv2.findTransformECC(target, source, start, cv2.MOTION_AFFINE, REFINEMENT, None, 1)
    except cv2.error:
        return None  # did not converge: the first alignment stands
    linear = found[:, :2].astype(np.float64)
    edges = np.column_stack([linear, found[:, 2] - linear @ np.array([0.5, 0.5]) + 0.5])
    if abs(np.linalg.det(linear)) < 1e-6:
        return None
    return inverted(edges)


def coverage(box_a: Box, box_b: Box, matrix: Matrix) -> tuple[float, float]:
    """Shares of box `a` and of box `b` that the other one covers, each in [0, 1]."""
    quad = cv2.convexHull(
        _box_corners(box_a) @ matrix[:, :2].T.astype(np.float32) + matrix[:, 2].astype(np.float32)
    )
    frame = _box_corners(box_b)
    area_a, area_b = cv2.contourArea(quad), cv2.contourArea(frame)
    if min(area_a, area_b) < 1:
        return 0.0, 0.0
    common, _ = cv2.intersectConvexConvex(quad[:, 0], frame)
    return min(1.0, common / area_a), min(1.0, common / area_b)


def _box_corners(box: Box) -> NDArray[np.float32]:
    x0, y0, x1, y1 = box
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32)


def seam(raster: NDArray[np.uint8], outline: Points) -> float:
    """How sharply a picture breaks along an outline inside it: about 1 for no break, 2 and more for a paste.

    The step across the outline is compared with the steps just inside and just outside it. Only sides
    away from the picture's own border count.

    Parameters
    ----------
    raster : (h, w) uint8
    outline : (4, 2)
        Corners of the contained picture, in raster pixels.
    """
    h, w = raster.shape
    gray = raster.astype(np.float32)
    centre = outline.mean(axis=0)
    ratios, lengths = [], []
    for start, end in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        length = float(np.hypot(*(end - start)))
        if length < 8:
            continue
        outward = np.array([end[1] - start[1], start[0] - end[0]]) / length
        if outward @ ((start + end) / 2 - centre) < 0:
            outward = -outward
        t = np.linspace(0.05, 0.95, int(length))[:, None]
        line = start + t * (end - start)
        rows = [line + outward * d - 0.5 for d in (-5.0, -2.0, 2.0, 5.0)]
        if any((r < 0).any() or (r[:, 0] > w - 1).any() or (r[:, 1] > h - 1).any() for r in rows):
            continue
        values = [
            cv2.remap(gray, r.astype(np.float32)[:, None, :], None, cv2.INTER_LINEAR)[:, 0] for r in rows
        ]
        across = np.abs(values[2] - values[1]).mean()
        beside = (np.abs(values[1] - values[0]).mean() + np.abs(values[3] - values[2]).mean()) / 2
        ratios.append(across / (beside + 2.0))
        lengths.append(length)
    return float(np.average(ratios, weights=lengths)) if ratios else 0.0


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
