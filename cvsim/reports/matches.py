"""The keypoints of two pictures that agree, as a picture of the two shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cvsim.types import ScoredPair

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.features.base import OverlayFeature
    from cvsim.types import RGB

    Points = NDArray[np.float64]
    """(n, 2): x and y, as shares of a picture's width and height."""
    Matrix = NDArray[np.float64]
    """(2, 3): maps (x, y, 1) in shares of `a` to (x, y) in shares of `b`."""

TOLERANCE = 0.03
"""Share of the diagonal; keypoints farther from where the overlap puts them agree on something else."""


@dataclass(frozen=True, eq=False)
class DrawnMatches:
    """Keypoints that agree on one transform: row by row, the same spot in `a` and in `b`.

    Attributes
    ----------
    a, b : (n, 2) float64
        x and y, as shares of the picture's width and height.
    """

    a: Points
    b: Points

    def __len__(self) -> int:
        return len(self.a)


def overlap_matrix(pair: ScoredPair) -> Matrix | None:
    """How the score laid `a` over `b`; None where it did not. Two equal files lie over each other exactly."""
    details: list[Mapping[str, Any]] = [comparison.detail for comparison in pair.comparisons]
    found = next((detail["matrix"] for detail in details if "matrix" in detail), None)
    if found is not None:
        return np.array(found, np.float64)
    return np.eye(2, 3) if pair.relation in ("identical-file", "identical-pixels") else None


def n_agreeing(pair: ScoredPair) -> int | None:
    """How many keypoints agree as the score counted them; None where none were asked."""
    details: list[Mapping[str, Any]] = [comparison.detail for comparison in pair.comparisons]
    return next((detail["n_inliers"] for detail in details if "n_inliers" in detail), None)


def is_mirroring(matrix: Matrix) -> bool:
    """Whether left and right change places under it."""
    return bool(np.linalg.det(matrix[:, :2]) < 0)


def mapped(matrix: Matrix, points: Points) -> Points:
    """`points` of `a` as places in `b`."""
    return points @ matrix[:, :2].T + matrix[:, 2]


def agreeing_keypoints(
    local: OverlayFeature[Any], a: RGB, b: RGB, matrix: Matrix | None, n_counted: int | None = None
) -> DrawnMatches:
    """The keypoints of two pictures that agree on a transform: the one of the score, if it found one.

    Parameters
    ----------
    local : OverlayFeature
        The signal that the pair was scored with.
    a, b : (h, w, 3) uint8
    matrix : (2, 3) float64 or None
        See `overlap_matrix`. The keypoints of a mirrored picture are looked for in its mirror image.
    n_counted : int, optional
        See `n_agreeing`: of more, those that agree best, so that a picture shows what the score counted.
    """
    nothing = DrawnMatches(np.zeros((0, 2)), np.zeros((0, 2)))
    mirrors = matrix is not None and is_mirroring(matrix)
    first = local.extract(np.ascontiguousarray(a[:, ::-1]) if mirrors else a)
    second = local.extract(b)
    if first is None or second is None or not len(first.keypoints) or not len(second.keypoints):
        return nothing
    found = local.matches(first, second)
    if found is None:
        return nothing
    i, j, _ = found
    places_a = _places(first.keypoints[i]) / (first.width_px, first.height_px)
    places_b = _places(second.keypoints[j]) / (second.width_px, second.height_px)
    if mirrors:
        places_a[:, 0] = 1 - places_a[:, 0]
    if matrix is not None:
        size = np.array([second.width_px, second.height_px], np.float64)
        error = np.linalg.norm((mapped(matrix, places_a) - places_b) * size, axis=1)
        best = np.argsort(error, kind="stable")[: int((error <= TOLERANCE * np.linalg.norm(size)).sum())]
        places_a, places_b = places_a[best], places_b[best]
    return DrawnMatches(places_a[:n_counted], places_b[:n_counted])


def _places(keypoints: NDArray[Any]) -> Points:
    return np.stack([keypoints["x"], keypoints["y"]], axis=1).astype(np.float64)
