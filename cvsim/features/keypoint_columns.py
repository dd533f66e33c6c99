"""The keypoints of many pictures as columns: what word search takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cvsim.features.base import Keypoints
from cvsim.features.local_descriptor import KEYPOINT

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TAKEN_AT_ONCE = 1 << 14
"""Keypoints of so many pictures together are put into columns in one go: few calls, and little held twice."""


class KeypointColumns:
    """Collects `Keypoints` of up to `n_most` keypoints, picture by picture.

    Arrays for as many as there can be are taken at once; only what is filled takes memory.
    """

    def __init__(self, n_most: int) -> None:
        self._owner, self._bits = np.empty(n_most, np.int64), np.empty((n_most, 4), np.uint64)
        self._angle, self._level = np.empty(n_most, np.uint8), np.empty(n_most, np.uint8)
        self._position = np.empty(n_most, np.complex64)
        self._waiting: list[tuple[int, NDArray[Any], complex]] = []
        self._n = self._n_waiting = 0

    def add(self, row: int, points: NDArray[Any], centre: complex) -> None:
        """Take the keypoints of the picture at `row`, an (n,) array of `KEYPOINT`."""
        self._waiting.append((row, points, centre))
        self._n_waiting += len(points)
        if self._n_waiting >= _TAKEN_AT_ONCE:
            self._take()

    def _take(self) -> None:
        if not self._waiting:
            return
        rows, parts, centres = zip(*self._waiting, strict=True)
        lengths = [len(points) for points in parts]
        points = np.frombuffer(b"".join(parts), KEYPOINT)  # numpy joins records field by field
        at = slice(self._n, self._n + len(points))
        self._owner[at] = np.repeat(rows, lengths)
        self._bits[at] = np.ascontiguousarray(points["bits"]).view(np.uint64)
        self._angle[at], self._level[at] = points["angle"], points["level"]
        centre = np.repeat(np.array(centres, np.complex64), lengths)
        np.subtract(points["x"], centre.real, out=self._position.real[at])
        np.subtract(points["y"], centre.imag, out=self._position.imag[at])
        self._n, self._n_waiting = at.stop, 0
        self._waiting.clear()

    def followed_by(self, mirrored: KeypointColumns) -> Keypoints | None:
        """All that was taken, then that of the mirror images, for which there is room; None without any."""
        self._take()
        mirrored._take()
        n_upright, n = self._n, self._n + mirrored._n
        for column, other in zip(self._columns, mirrored._columns, strict=True):
            column[n_upright:n] = other[: mirrored._n]
        owner, bits, angle, level, position = (column[:n] for column in self._columns)
        return Keypoints(owner, bits, angle, level, position, n_upright) if n_upright else None

    @property
    def _columns(self) -> list[NDArray[Any]]:
        return [self._owner, self._bits, self._angle, self._level, self._position]
