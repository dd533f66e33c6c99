"""Keypoints of labelled photos: details by which two packages of one brand differ.

Colour and shape of a whole photo hardly tell two flavours apart. How many keypoints a photo shares with those
that it is nearest to, on one plausible transform, says whether it shows the very same print.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cvsim.features.alignment import fit_transform
from cvsim.features.local import KEYPOINT, match

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.types import Indices


@dataclass(frozen=True, eq=False)
class Keypoints:
    """Keypoints of n photos.

    Attributes
    ----------
    rows : tuple of (n_keypoints,) arrays of `cvsim.features.local.KEYPOINT`
        One a photo, of its working picture; empty where it has none.
    key : str
        Of the feature that found them: its name, version and parameters.
    """

    rows: tuple[NDArray[Any], ...]
    key: str

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, chosen: Indices | NDArray[np.bool_]) -> Keypoints:
        """Those of some of the photos."""
        order = np.arange(len(self.rows))[chosen]
        return Keypoints(tuple(self.rows[i] for i in order.tolist()), self.key)

    def most_shared(self, others: Keypoints, nearest: Indices) -> NDArray[np.float64]:
        """(n,) how many keypoints each photo shares at most with one of its nearest of `others`.

        Parameters
        ----------
        others : Keypoints
        nearest : (n, k) int array
            Positions in `others`.
        """
        found = (
            max((n_shared(row, others.rows[j]) for j in near), default=0)
            for row, near in zip(self.rows, nearest.tolist(), strict=True)
        )
        return np.fromiter(found, np.float64, len(self.rows))

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """All rows one after the other, (n_total, itemsize) uint8, and how many each has, (n,) int64."""
        joined = np.concatenate([np.zeros(0, KEYPOINT), *self.rows])
        counts = np.array([len(row) for row in self.rows], np.int64)
        return {"keypoints": joined.view(np.uint8).reshape(-1, KEYPOINT.itemsize), "n_keypoints": counts}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], key: str) -> Keypoints:
        """The inverse of `to_arrays`.

        Raises
        ------
        ValueError
            The arrays do not fit each other, or hold what no keypoint is.
        """
        data, counts = arrays["keypoints"], arrays["n_keypoints"]
        if data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != KEYPOINT.itemsize:
            raise ValueError("the gallery's keypoints have the wrong shape")
        if counts.dtype != np.int64 or counts.ndim != 1 or (counts < 0).any() or counts.sum() != len(data):
            raise ValueError("the gallery's keypoints are not as many as they should be")
        joined = np.ascontiguousarray(data).view(KEYPOINT)[:, 0]
        if not (np.isfinite(joined["x"]).all() and np.isfinite(joined["y"]).all()):
            raise ValueError("the gallery's keypoints are not finite")
        return cls(tuple(np.split(joined, np.cumsum(counts)[:-1]) if len(counts) else ()), key)


def n_shared(a: NDArray[Any], b: NDArray[Any]) -> int:
    """Keypoints that agree on one transform, counted by the places that they cover."""
    if not len(a) or not len(b):
        return 0
    i, j = match(a["bits"], b["bits"])
    proposal = fit_transform(a[i], b[j])
    return 0 if proposal is None else proposal.n_spread
