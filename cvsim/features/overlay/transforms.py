"""One transform that matched keypoints agree on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cvsim.features.base import SCALE_FACTOR

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
LEAST_APART_PX, PAIR_SLOPE, PAIR_PX = 25.0, 2 * COARSE_SLOPE, 3.0
"""How far apart two matches must lie to define a transform, how roughly each may follow the other's proposal,
and how exactly others have to follow what they define. By hand on lost copies of four real-world kinds and
lost crops of seven domain sets; tried on the altered copies of eleven other sorts."""
MOST_PAIRS = 2000
"""Pairs that are asked, so that many that agree take no more time: any of these would do."""
_AS_COMPLEX = np.array([1, 1j])
VOTE_CELL_PX = 10.0
"""Inliers are counted by the cells they fall in, on both sides: a heap of keypoints on one spot is one."""


@dataclass(frozen=True, eq=False)
class Hypothesis:
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


def fit_transform(a: NDArray[Any], b: NDArray[Any]) -> Hypothesis | None:
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
    p, q, scale, angle = _places(a, b)
    inliers = _largest_consensus(p, q, scale, angle)
    settled = _settled(p, q, inliers, 3)
    if settled is None:
        return None
    matrix, inliers = settled
    n_spread = spread_count(p[inliers], q[inliers])
    if n_spread >= 8:
        affine = affine_least_squares(p[inliers], q[inliers])
        if is_plausible(affine):
            matrix = affine
            inliers = _followers(matrix, p, q)
            n_spread = spread_count(p[inliers], q[inliers])
    if n_spread < MIN_INLIERS or not is_plausible(matrix):
        return None
    return Hypothesis(matrix, inliers, n_spread)


def fit_by_pairs(a: NDArray[Any], b: NDArray[Any]) -> Hypothesis | None:
    """The similarity that two matches define, and most others follow, for matches that `fit_transform` lost.

    Among many matches of something else the few right ones are outvoted where single matches propose, for
    theirs are rough; two of them are exact. Its followers are few, so that it takes pixels to bear it out.

    Parameters
    ----------
    a, b : (n,) arrays
        As for `fit_transform`.
    """
    if len(a) < MIN_INLIERS:
        return None
    p, q, scale, angle = _places(a, b)
    zp, zq = p @ _AS_COMPLEX, q @ _AS_COMPLEX
    follows = _follow_roughly(zp, zq, scale, angle, PAIR_SLOPE)
    i, j = np.nonzero(np.triu(follows & follows.T, 1))
    apart = np.maximum(np.abs(zp[j] - zp[i]), np.abs(zq[j] - zq[i])) >= LEAST_APART_PX
    step = 1 + int(apart.sum()) // MOST_PAIRS
    i, j = i[apart][::step], j[apart][::step]
    if not len(i):
        return None
    turn = (zq[j] - zq[i]) / (zp[j] - zp[i])
    error = np.abs(turn[:, None] * (zp - zp[i][:, None]) - (zq - zq[i][:, None]))
    exact = error <= PAIR_PX * np.maximum(np.abs(turn), 1)[:, None]
    inliers = np.flatnonzero(exact[int(np.argmax(exact.sum(axis=1)))])
    settled = _settled(p, q, inliers, 2)
    if settled is None:
        return None
    matrix, inliers = settled
    if len(inliers) < MIN_INLIERS or not is_plausible(matrix):
        return None
    return Hypothesis(matrix, inliers, spread_count(p[inliers], q[inliers]))


def _settled(
    p: Points, q: Points, inliers: NDArray[np.int64], n_rounds: int
) -> tuple[Matrix, NDArray[np.int64]] | None:
    """The similarity of the inliers by least squares, and what follows it, so many times over."""
    for _ in range(n_rounds):
        if len(inliers) < MIN_INLIERS:
            return None
        matrix = similarity_least_squares(p[inliers], q[inliers])
        inliers = _followers(matrix, p, q)
    return matrix, inliers


def _places(a: NDArray[Any], b: NDArray[Any]) -> tuple[Points, Points, NDArray[Any], NDArray[Any]]:
    """Where the matches lie on both sides, and how each is scaled and turned, in radians."""
    p = np.stack([a["x"], a["y"]], axis=1).astype(np.float64)
    q = np.stack([b["x"], b["y"]], axis=1).astype(np.float64)
    scale = SCALE_FACTOR ** (b["level"].astype(np.float64) - a["level"])
    angle = (b["angle"].astype(np.float64) - a["angle"]) * (2 * np.pi / 256)
    return p, q, scale, angle


def _largest_consensus(p: Points, q: Points, scale: NDArray[Any], angle: NDArray[Any]) -> NDArray[np.int64]:
    """Rows that follow the single-match proposal with most followers."""
    follows = _follow_roughly(p @ _AS_COMPLEX, q @ _AS_COMPLEX, scale, angle, COARSE_SLOPE)
    return np.flatnonzero(follows[int(np.argmax(follows.sum(axis=1)))])


def _follow_roughly(
    zp: NDArray[Any], zq: NDArray[Any], scale: NDArray[Any], angle: NDArray[Any], slope: float
) -> NDArray[np.bool_]:
    """(n, n): whether the match of the column follows the proposal of that of the row."""
    # Complex numbers hold a similarity in one product: error = turn * (p_j - p_i) - (q_j - q_i).
    turn = (scale * np.exp(1j * angle)).astype(np.complex64)
    zp, zq = zp.astype(np.complex64), zq.astype(np.complex64)
    moved = turn[:, None] * (zp[None, :] - zp[:, None])
    error = np.abs(moved - (zq[None, :] - zq[:, None]))
    found: NDArray[np.bool_] = error <= COARSE_PX * np.maximum(scale, 1)[:, None] + slope * np.abs(moved)
    return found


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


def affine_least_squares(p: Points, q: Points, weight: NDArray[np.float64] | None = None) -> Matrix:
    """Affine map from `p` to `q`."""
    w = np.ones(len(p)) if weight is None else weight
    pm, qm = w @ p / w.sum(), w @ q / w.sum()
    u, v = p - pm, q - qm
    weighted = (w[:, None] * u).T
    linear = np.linalg.solve(weighted @ u + 1e-9 * np.eye(2), weighted @ v).T
    return np.column_stack([linear, qm - linear @ pm])


def scale_of(matrix: Matrix) -> float:
    """Side length in the target of a unit square in the source."""
    return float(abs(matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0]) ** 0.5)


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
    cells = [(side // VOTE_CELL_PX) @ np.array([10_000.0, 1.0]) for side in (p, q)]
    return min(len(set(c.tolist())) for c in cells)
