"""Signature: on a coarse grid, how much brighter or darker each spot is than its neighbours.

H. C. Wong, M. Bern, D. Goldberg, "An image signature for any kind of image" (ICIP 2002), with the choices of
the `image-match` package: on the same grey pixels the values are equal to its own. It holds through encoding,
scaling, brightness, contrast and small borders; a turned, mirrored or cropped picture has another signature.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from cvsim.features.base import Feature, HashKeys, Search
from cvsim.features.information import PARAMS, is_informative
from cvsim.types import Comparison

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.types import RGB, Indices, Similarities

    Levels = NDArray[np.int8]
    """(648,) in -2..2: much darker, darker, the same, brighter, much brighter than a neighbour."""

SIGNATURE_GRID = 9
CROP_PERCENTILES = (5, 95)
"""Of the picture's differences by row and by column: what lies outside is border."""
SAME_LEVEL = 2 / 255
"""Two spots whose brightness differs by less are alike."""
NEIGHBOURS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))
"""(row, column) steps, in the order of the signature's values."""
N_SIGNATURE_LEVELS = SIGNATURE_GRID * SIGNATURE_GRID * len(NEIGHBOURS)
N_WORDS, WORD_LETTERS = 63, 16
INFORMATION_PX = 64
SIGNATURE_CHUNK = 4096
"""Pairs compared at once, so that the memory of `compare_many` does not grow with their number."""

_BASE = np.array([25, 5, 1], np.int64)
"""Three values of five levels fit a byte."""
_STEP_BITS = np.array([0b00, 0b01, 0b11], np.uint64)
"""Darker, the same, brighter: the bits that differ are the steps between."""


class Signature(Feature["Levels"]):
    """Brightness of a 9 x 9 grid against its eight neighbours, in five levels.

    The similarity is 1 - ||a - b|| / (||a|| + ||b||); the paper calls pictures the same above 0.4.
    Candidates share one of 63 words: runs of 16 values, reduced to darker, the same, brighter. A picture has
    a hash for each word, which holds the word and its place: a radius of 0 bits finds equal words.
    """

    name = "signature"
    search: Search = "hamming"
    radius_bits = 0

    @property
    def params(self) -> Mapping[str, Any]:
        return {
            "grid": SIGNATURE_GRID,
            "crop_percentiles": list(CROP_PERCENTILES),
            "same_level": SAME_LEVEL,
            "words": [N_WORDS, WORD_LETTERS],
            **PARAMS,
        }

    def extract(self, rgb: RGB) -> Levels | None:
        gray = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
        side = (INFORMATION_PX, INFORMATION_PX)
        if not is_informative(cv2.resize(gray, side, interpolation=cv2.INTER_AREA)):
            return None
        levels = signature_levels(gray / 255.0)
        return levels if levels.any() else None

    def compare(self, a: Levels | None, b: Levels | None) -> tuple[Comparison, ...]:
        if a is None or b is None:
            return (Comparison(self.name, None),)
        x, y = a.astype(np.float64), b.astype(np.float64)
        distance = float(np.linalg.norm(x - y) / (np.linalg.norm(x) + np.linalg.norm(y)))
        return (Comparison(self.name, 1.0 - distance, detail={"distance": distance}),)

    def pack(self, descriptors: Sequence[Levels | None]) -> Levels:
        """(n, 648) int8, a row of zeros where there is no descriptor."""
        packed = np.zeros((len(descriptors), N_SIGNATURE_LEVELS), np.int8)
        for row, descriptor in zip(packed, descriptors, strict=True):
            if descriptor is not None:
                row[:] = descriptor
        return packed

    def compare_many(self, packed: Any, a: Indices, b: Indices) -> dict[str, Similarities]:
        norm = np.sqrt(np.einsum("nd,nd->n", packed, packed, dtype=np.float32))
        found = np.empty(len(a), np.float32)
        for start in range(0, len(a), SIGNATURE_CHUNK):
            rows = slice(start, start + SIGNATURE_CHUNK)
            x, y = packed[a[rows]], packed[b[rows]]
            step = np.sqrt(np.square(x - y, dtype=np.float32).sum(axis=1))
            with np.errstate(invalid="ignore"):  # nothing against nothing
                found[rows] = 1 - step / (norm[a[rows]] + norm[b[rows]])
        return {self.name: np.where((norm[a] > 0) & (norm[b] > 0), found, np.float32(np.nan))}

    def to_bytes(self, descriptor: Levels) -> bytes:
        return ((descriptor.reshape(-1, 3) + 2) @ _BASE).astype(np.uint8).tobytes()

    def from_bytes(self, data: bytes) -> Levels:
        packed = np.frombuffer(data, np.uint8).astype(np.int64)[:, None]
        return (packed // _BASE % 5 - 2).astype(np.int8).reshape(-1)

    def hash_keys(self, packed: Any) -> HashKeys | None:
        known = np.flatnonzero(packed.any(axis=1))
        keys = word_keys(packed[known]).reshape(-1)
        return HashKeys(np.repeat(known, N_WORDS), keys, keys[:, None])


def signature_levels(gray: NDArray[np.floating[Any]]) -> Levels:
    """The (648,) signature of a grey picture, (h, w) in [0, 1]; all zeros where it is featureless."""
    rows, columns = (_grid_points(*_window(gray, axis)) for axis in (0, 1))
    mean = _mean_levels(gray, rows, columns)
    framed = np.pad(mean, 1, constant_values=np.nan)
    shifted = [framed[1 + r : 1 + r + SIGNATURE_GRID, 1 + c : 1 + c + SIGNATURE_GRID] for r, c in NEIGHBOURS]
    # Beside the grid there is nothing to differ from.
    difference = np.nan_to_num(mean[..., None] - np.stack(shifted, axis=-1))
    return _leveled(difference).reshape(-1)


def _window(gray: NDArray[np.floating[Any]], axis: int) -> tuple[int, int]:
    """First and last row (axis 0) or column (axis 1) inside the border, by where the differences lie."""
    sums = np.cumsum(np.abs(np.diff(gray, axis=1 - axis)).sum(axis=1 - axis))
    lower, upper = np.percentile(sums, CROP_PERCENTILES)
    first, last = np.searchsorted(sums, lower, side="right"), np.searchsorted(sums, upper, side="left")
    if first > last:
        return tuple(int(p / 100 * gray.shape[axis]) for p in CROP_PERCENTILES)  # type: ignore[return-value]
    return int(first), int(last)


def _grid_points(first: int, last: int) -> Indices:
    return np.linspace(first, last, SIGNATURE_GRID + 2, dtype=int)[1:-1]


def _mean_levels(gray: NDArray[np.floating[Any]], rows: Indices, columns: Indices) -> NDArray[np.float64]:
    """Means of squares around the points of the grid, (9, 9)."""
    side = max(2, int(0.5 + min(gray.shape) / 20))
    tops, lefts = (np.maximum(points - side / 2, 0).astype(int) for points in (rows, columns))
    return np.array([[gray[t : t + side, s : s + side].mean() for s in lefts] for t in tops])


def _leveled(difference: NDArray[np.float64]) -> NDArray[np.int8]:
    """Differences as -2..2: the larger half of the brighter ones is 2, that of the darker ones -2."""
    difference = np.where(np.abs(difference) < SAME_LEVEL, 0.0, difference)
    levels = np.sign(difference).astype(np.int8)
    for sign in (1, -1):
        chosen = levels == sign
        if chosen.any():
            strong = np.abs(difference) > np.median(np.abs(difference[chosen]))
            levels[chosen & strong] = 2 * sign
    return levels


_WORD_PLACES = np.linspace(0, N_SIGNATURE_LEVELS, N_WORDS, endpoint=False).astype(np.int64)
_WORD_TAGS = np.arange(1, N_WORDS + 1, dtype=np.uint64) * np.uint64(0x9E3779B1) << np.uint64(32)
"""Golden-ratio multiples: far apart in bits, so that no radius confuses words of two places."""


def word_keys(levels: Levels) -> NDArray[np.uint64]:
    """Words of (n, 648) signatures as (n, 63) hashes: the place above, two bits a letter below."""
    ends = np.zeros((len(levels), WORD_LETTERS), np.int8)  # the last word runs beyond the signature
    letters = np.sign(np.concatenate([levels, ends], axis=1)) + 1
    at = _WORD_PLACES[:, None] + np.arange(WORD_LETTERS)
    shifts = 2 * np.arange(WORD_LETTERS, dtype=np.uint64)
    found: NDArray[np.uint64] = (
        np.bitwise_or.reduce(_STEP_BITS[letters[:, at]] << shifts, axis=-1) | _WORD_TAGS
    )
    return found
