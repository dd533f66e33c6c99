"""Details of labelled photos: what is printed on two packages of one brand differs little from afar.

Colour and shape of a whole photo hardly tell two flavours apart. Keypoints say how one photo lies over
another, and the pixels whether both show the same print: a name that two flavours share agrees in some tiles,
the same package in most.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import cv2
import numpy as np

from cvsim.errors import ImageError
from cvsim.features.laying import match
from cvsim.features.local_descriptor import KEYPOINT
from cvsim.features.overlay.alignment import OVERLAP_BLUR_PX, lay_over, rescaled
from cvsim.features.overlay.correlation import contrast_weight
from cvsim.features.overlay.transforms import fit_transform, is_plausible
from cvsim.images.decode import decode

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.types import Indices

PICTURE_PX = 256
"""Longer side of a picture when it is looked at; a larger one is shrunk."""
MAX_DETAIL_PIXELS = 1_000_000
"""The most pixels of a stored picture: a profile from a stranger cannot make a heavier one."""
N_REMEMBERED = 2048
"""How many decoded pictures stay in memory, some 25 kB each."""


@dataclass(frozen=True, eq=False)
class Details:
    """Keypoints and a small picture of each of n photos.

    Attributes
    ----------
    keypoints : tuple of (n_keypoints,) arrays of `cvsim.features.local.KEYPOINT`
        One a photo, of its working picture; empty where it has none.
    pictures : tuple of bytes
        One a photo: the whole of it as a small JPEG file; empty where there is none.
    longest_px : (n,) int64
        Longer side of the working picture, in which keypoint positions are given.
    key : str
        Of the feature that found the keypoints: its name, version and parameters.
    """

    ARRAYS: ClassVar = ("keypoints", "n_keypoints", "pictures", "n_bytes", "longest_px")
    """What `to_arrays` gives."""

    keypoints: tuple[NDArray[Any], ...]
    pictures: tuple[bytes, ...]
    longest_px: NDArray[np.int64]
    key: str

    def __len__(self) -> int:
        return len(self.keypoints)

    def take(self, chosen: Indices | NDArray[np.bool_]) -> Details:
        """Those of some of the photos."""
        order = np.arange(len(self))[chosen]
        rows = order.tolist()
        return Details(
            tuple(self.keypoints[i] for i in rows),
            tuple(self.pictures[i] for i in rows),
            self.longest_px[order],
            self.key,
        )

    def most_alike(self, others: Details, nearest: Indices) -> NDArray[np.float64]:
        """(n,) `likeness` of each photo with the most alike of its nearest of `others`.

        Parameters
        ----------
        others : Details
        nearest : (n, k) int array
            Positions in `others`.
        """
        found = (
            max((likeness(self, i, others, j) for j in near), default=0.0)
            for i, near in enumerate(nearest.tolist())
        )
        return np.fromiter(found, np.float64, len(self))

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Put everything into four arrays, for a file.

        Returns
        -------
        dict of arrays
            All keypoints one after the other, (n_total, itemsize) uint8; all pictures, (n_bytes,) uint8; how
            many of both each photo has; and `longest_px`, (n,) int64.
        """
        keypoints = np.concatenate([np.zeros(0, KEYPOINT), *self.keypoints])
        return {
            "keypoints": keypoints.view(np.uint8).reshape(-1, KEYPOINT.itemsize),
            "n_keypoints": np.array([len(row) for row in self.keypoints], np.int64),
            "pictures": np.frombuffer(b"".join(self.pictures), np.uint8),
            "n_bytes": np.array([len(picture) for picture in self.pictures], np.int64),
            "longest_px": self.longest_px,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], key: str) -> Details:
        """The inverse of `to_arrays`.

        Raises
        ------
        ValueError
            The arrays do not fit each other, or hold what no keypoint or no size is.
        """
        data, pictures, longest_px = arrays["keypoints"], arrays["pictures"], arrays["longest_px"]
        if data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != KEYPOINT.itemsize:
            raise ValueError("the gallery's keypoints have the wrong shape")
        if pictures.dtype != np.uint8 or pictures.ndim != 1:
            raise ValueError("the gallery's pictures have the wrong shape")
        if longest_px.dtype != np.int64 or longest_px.ndim != 1 or (longest_px < 1).any():
            raise ValueError("the gallery's pictures have no size")
        n = len(longest_px)
        of_keypoints = _ends(arrays["n_keypoints"], n, len(data), "keypoints")
        of_pictures = _ends(arrays["n_bytes"], n, len(pictures), "pictures")
        joined = np.ascontiguousarray(data).view(KEYPOINT)[:, 0]
        if not (np.isfinite(joined["x"]).all() and np.isfinite(joined["y"]).all()):
            raise ValueError("the gallery's keypoints are not finite")
        parts = np.split(pictures, of_pictures[:-1]) if n else []
        return cls(
            tuple(np.split(joined, of_keypoints[:-1]) if n else ()),
            tuple(part.tobytes() for part in parts),
            longest_px,
            key,
        )


def _ends(counts: NDArray[Any], n: int, n_total: int, what: str) -> NDArray[np.int64]:
    """Tell where each photo's part of an array ends."""
    if counts.dtype != np.int64 or counts.shape != (n,) or (counts < 0).any() or counts.sum() != n_total:
        raise ValueError(f"the gallery's {what} are not as many as they should be")
    return np.cumsum(counts)


def likeness(a: Details, i: int, b: Details, j: int) -> float:
    """How far two photos show the same print: the mean correlation of the tiles of one laid over the other.

    Tiles weigh by their contrast. 0 where the keypoints agree on no transform, or what they lay over each
    other is flat or too little.
    """
    x, y = a.keypoints[i], b.keypoints[j]
    if not len(x) or not len(y) or not a.pictures[i] or not b.pictures[j]:
        return 0.0
    of_x, of_y = match(x["bits"], y["bits"])
    proposal = fit_transform(x[of_x], y[of_y])
    if proposal is None:
        return 0.0
    source, target = _raster(a.pictures[i]), _raster(b.pictures[j])
    if source is None or target is None:
        return 0.0
    scales = max(source.shape) / int(a.longest_px[i]), max(target.shape) / int(b.longest_px[j])
    matrix = rescaled(proposal.matrix, *scales)
    # The sizes are those that a file claims: what it asks for may take forever.
    overlap = lay_over(source, target, matrix) if is_plausible(matrix) else None
    if overlap is None:
        return 0.0
    weight = contrast_weight(overlap.agreement.deviation)
    return float(np.clip(np.average(overlap.agreement.correlations, weights=weight), 0.0, 1.0))


@functools.lru_cache(N_REMEMBERED)
def _raster(picture: bytes) -> NDArray[np.uint8] | None:
    """The picture, grey and lightly blurred, as `lay_over` wants it; None where it cannot be read."""
    try:
        rgb = decode(picture, longest_px=PICTURE_PX, format="jpeg", max_pixels=MAX_DETAIL_PIXELS).rgb
    except ImageError:
        return None
    gray = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.GaussianBlur(gray, (0, 0), OVERLAP_BLUR_PX), np.uint8)
