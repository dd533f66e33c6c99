"""The map of a plane seen from one side: a print on a table, a screen, a picture tilted by an editor.

A homography takes the place of the affine map where more matched keypoints follow it. The picture is
rectified under it once, and from then on it is compared like any other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.features.overlay.transforms import Matrix, Points

    Homography = NDArray[np.float64]
    """(3, 3): maps (x, y, 1) of one picture to the other, up to a factor."""

MIN_FOLLOWERS = 12
"""Matches that a homography needs: its eight numbers fit any four."""
MIN_GAIN = 1.15
"""Followers of a homography over those of the affine map, from which it is the better answer."""
FIRST_ERROR_PX, ERROR_PX = 12.0, 4.0
"""Tolerance of the first round, in which an affine map stands for it, and of the later ones."""
N_ROUNDS = 6
MAX_TILT = 3.0
"""Largest to smallest scale along the picture's outline."""


def fit_homography(p: Points, q: Points, affine: Matrix, size: tuple[float, float]) -> Homography | None:
    """The homography from `p` to `q` that more matches follow than the affine map, or None.

    Parameters
    ----------
    p, q : (n, 2)
        Matched one to one.
    affine : (2, 3)
        That most of them follow.
    size : (width, height)
        Of the picture that `p` lies in.
    """
    n_affine = int((_errors(np.vstack([affine, [0, 0, 1]]), p, q) <= ERROR_PX * _enlargement(affine)).sum())
    found = np.vstack([affine, [0.0, 0.0, 1.0]])
    tolerance, inside = FIRST_ERROR_PX, np.zeros(len(p), bool)
    for _ in range(N_ROUNDS):
        following = _errors(found, p, q) <= tolerance * _enlargement(affine)
        if following.sum() < MIN_FOLLOWERS:
            return None
        if tolerance == ERROR_PX and np.array_equal(following, inside):
            break
        inside = following
        fitted = _least_squares(p[inside], q[inside])
        if fitted is None or not _is_plausible(fitted, size):
            return None
        found, tolerance = fitted, max(ERROR_PX, tolerance / 2)
    n_found = int((_errors(found, p, q) <= ERROR_PX * _enlargement(affine)).sum())
    return found if n_found >= max(MIN_FOLLOWERS, MIN_GAIN * n_affine) else None


def _enlargement(affine: Matrix) -> float:
    return max(1.0, float(abs(np.linalg.det(affine[:, :2])) ** 0.5))


def mapped(matrix: Homography, points: Points) -> Points:
    """The points, (n, 2), in the other picture."""
    x = points @ matrix[:, :2].T + matrix[:, 2]
    return np.asarray(x[:, :2] / x[:, 2:], np.float64)


def _errors(matrix: Homography, p: Points, q: Points) -> NDArray[np.float64]:
    return np.asarray(np.hypot(*(mapped(matrix, p) - q).T), np.float64)


def _least_squares(p: Points, q: Points) -> Homography | None:
    """R. Hartley, "In defense of the eight-point algorithm" (1997): on normalised points."""
    found, _ = cv2.findHomography(p, q, 0)
    return None if found is None else np.asarray(found, np.float64)


def _is_plausible(matrix: Homography, size: tuple[float, float]) -> bool:
    """Whether the outline stays convex, is not turned over, and no side of it is far nearer than another."""
    width, height = size
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)
    depth = corners @ matrix[2, :2] + matrix[2, 2]
    if depth.min() * depth.max() <= 0 or np.abs(depth).max() > MAX_TILT * np.abs(depth).min():
        return False
    outline = mapped(matrix, corners).astype(np.float32)
    return bool(cv2.isContourConvex(outline[:, None])) and cv2.contourArea(outline, True) > 0


def rescaled_homography(matrix: Homography, source: float, target: float) -> Homography:
    """The same map between pictures enlarged by the factors `source` and `target`."""
    return np.diag([target, target, 1.0]) @ matrix @ np.diag([1 / source, 1 / source, 1.0])


def affine_near(matrix: Homography, x: float, y: float) -> Matrix:
    """The affine map that touches the homography at a point."""
    u, v, w = matrix @ (x, y, 1.0)
    jacobian = np.array(
        [
            [(matrix[0, k] * w - u * matrix[2, k]) / w**2 for k in (0, 1)],
            [(matrix[1, k] * w - v * matrix[2, k]) / w**2 for k in (0, 1)],
        ]
    )
    return np.column_stack([jacobian, np.array([u / w, v / w]) - jacobian @ (x, y)])


def bend_px(matrix: Homography, width: float, height: float) -> float:
    """By how much a homography moves a picture's corners off the affine map that touches it in the middle."""
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)
    flat = affine_near(matrix, width / 2, height / 2)
    off = mapped(matrix, corners) - (corners @ flat[:, :2].T + flat[:, 2])
    return float(np.hypot(off[:, 0], off[:, 1]).max())


def rectified(pixels: NDArray[Any], to_frame: Homography, size: tuple[int, int]) -> NDArray[Any]:
    """A picture seen in another's frame of `size` (width, height), under its map into that frame.

    Outside of it the picture's border goes on.
    """
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    centred = np.linalg.inv(half) @ to_frame @ half  # cv2 counts from the centres of pixels
    warped = cv2.warpPerspective(
        pixels, centred, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(warped)
