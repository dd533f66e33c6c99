"""Tiles: the two pictures laid over each other as small grey squares and correlated tile by tile.

This is pixel evidence for copies that show the whole picture, in any orientation and with any border: a
re-encoded, resized, squeezed, recoloured copy correlates in every tile, a captioned one in nearly every
tile, and another photograph of the same place in few.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from cvsim.features.base import Feature
from cvsim.features.information import PARAMS_OF_STRIPS
from cvsim.features.orientation import N_ORIENTATIONS, ORIENTATION_NAMES, turn, turn_each
from cvsim.features.overlay.correlation import FULL_CONTRAST, weighted_median
from cvsim.features.picture import Picture
from cvsim.types import Comparison

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.types import RGB, Indices, Similarities

SQUARE_PX = 32
TILE_PX = 8
N_TILES = (SQUARE_PX // TILE_PX) ** 2
N_VIEWS = 2
TILE_NOISE_VARIANCE = 6.0
"""Added to each tile's variance, in squared grey levels: a tile of mere noise correlates with nothing."""
N_TRIED, COARSENESS = 2, 4
"""Orientations that are compared tile by tile: those that fit best when a few pixels are one."""
TILE_CHUNK = 1024
"""Pairs compared at once: bounds the memory of `Tiles.compare_many` to about 64 MB."""

FLAT_LEVELS = 2
"""Grey levels between neighbouring pixels of flat ground."""
_NEIGHBOURS = np.ones((3, 3), np.uint8)


_FIRST = np.zeros(1, np.int64)


class Tiles(Feature["NDArray[np.uint8]"]):
    """Weighted median of the tiles' normalised cross-correlation, in the best of eight orientations.

    A descriptor is (n_views, 32, 32) uint8: the whole picture and, where it has uniform borders, the
    picture inside them. Tiles weigh by their contrast in the clearer of the two pictures, so that what
    was painted over counts as one tile of sixteen and empty sky hardly counts.
    """

    name = "tiles"
    names_orientation = True
    version = 2

    @property
    def params(self) -> Mapping[str, Any]:
        return {"side_px": SQUARE_PX, **PARAMS_OF_STRIPS}

    def extract(self, rgb: RGB) -> NDArray[np.uint8] | None:
        return self.extract_from(Picture(rgb))

    def extract_from(self, picture: Picture) -> NDArray[np.uint8] | None:
        known = picture.informative_squares(SQUARE_PX)
        return np.array(known) if known else None

    def compare(self, a: NDArray[np.uint8] | None, b: NDArray[np.uint8] | None) -> tuple[Comparison, ...]:
        if a is None or b is None:
            return (Comparison(self.name, None),)
        similarity, orientation = max(
            (_tile_correlation(turn(x, k), y), -k)
            for x in a
            for y in b
            for k in _likely_orientations(x[None], y[None], _FIRST, _FIRST)[0].tolist()
        )
        return (Comparison(self.name, similarity, detail={"orientation": ORIENTATION_NAMES[-orientation]}),)

    def pack(self, descriptors: Sequence[NDArray[np.uint8] | None]) -> Any:
        n = len(descriptors)
        views = np.zeros((n, N_VIEWS, SQUARE_PX, SQUARE_PX), np.uint8)
        n_views = np.zeros(n, np.int64)
        for i, d in enumerate(descriptors):
            if d is not None:
                views[i, : len(d)] = d
                n_views[i] = len(d)
        return views, n_views

    def compare_many(self, packed: Any, a: Indices, b: Indices) -> dict[str, Similarities]:
        return {self.name: self.compare_oriented(packed, a, b)[0]}

    def compare_oriented(self, packed: Any, a: Indices, b: Indices) -> tuple[Similarities, Indices]:
        # Fastest where pairs of one picture are near each other.
        views, n_views = packed
        best = np.full(len(a), -1.0, np.float32)
        orientation = np.zeros(len(a), np.int64)
        for i in range(N_VIEWS):
            for j in range(N_VIEWS):
                rows = np.flatnonzero((n_views[a] > i) & (n_views[b] > j))
                for start in range(0, len(rows), TILE_CHUNK):
                    part = rows[start : start + TILE_CHUNK]
                    some_a, at_a = np.unique(a[part], return_inverse=True)
                    some_b, at_b = np.unique(b[part], return_inverse=True)
                    value, turned = _best_correlations(views[some_a, i], views[some_b, j], at_a, at_b)
                    better = value > best[part]
                    best[part[better]], orientation[part[better]] = value[better], turned[better]
        return np.where(best >= 0, best, np.float32(np.nan)), orientation

    def texture(self, packed: Any) -> NDArray[np.float32] | None:
        views, n_views = packed
        found = np.full(len(views), np.nan, np.float32)
        for k in np.flatnonzero(n_views).tolist():
            square = views[k, 0]
            steps = cv2.dilate(square, _NEIGHBOURS) - cv2.erode(square, _NEIGHBOURS)
            found[k] = (steps > FLAT_LEVELS).mean()
        return found

    def whole_squares(self, packed: Any) -> NDArray[np.uint8] | None:
        views, _ = packed
        found: NDArray[np.uint8] = views[:, 0]
        return found

    def to_bytes(self, descriptor: NDArray[np.uint8]) -> bytes:
        return descriptor.tobytes()

    def from_bytes(self, data: bytes) -> NDArray[np.uint8]:
        return np.frombuffer(data, np.uint8).reshape(-1, SQUARE_PX, SQUARE_PX)


def _tile_correlation(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """The plain reference: tile by tile, then the median weighted by contrast."""
    correlations, weights = [], []
    for y in range(0, SQUARE_PX, TILE_PX):
        for x in range(0, SQUARE_PX, TILE_PX):
            s = a[y : y + TILE_PX, x : x + TILE_PX].astype(np.float64)
            t = b[y : y + TILE_PX, x : x + TILE_PX].astype(np.float64)
            s, t = s - s.mean(), t - t.mean()
            var_s, var_t = (s * s).mean(), (t * t).mean()
            correlations.append(
                (s * t).mean() / np.sqrt((var_s + TILE_NOISE_VARIANCE) * (var_t + TILE_NOISE_VARIANCE))
            )
            weights.append(min(np.sqrt(max(var_s, var_t)), FULL_CONTRAST))
    return float(weighted_median(np.array([correlations]), np.array([weights]))[0])


def _best_correlations(
    a: NDArray[np.uint8], b: NDArray[np.uint8], at_a: Indices, at_b: Indices
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """`_tile_correlation` of each pair in its best orientation, and which; both (n,).

    Parameters
    ----------
    a, b : (m, 32, 32) uint8
        Squares of the one and of the other side.
    at_a, at_b : (n,) int64
        Positions of each pair's two in them.
    """
    x, deviation_a = _normalised_tiles(a)
    y, deviation_b = _normalised_tiles(b)
    best = np.full(len(at_a), -1.0, np.float32)
    orientation = np.zeros(len(at_a), np.int64)
    likely = _likely_orientations(a, b, at_a, at_b)
    # Mirroring a square mirrors the order of its tiles and the inside of each tile alike.
    for k in range(N_ORIENTATIONS):
        rows = np.flatnonzero((likely == k).any(axis=1))
        if not len(rows):
            continue
        some_a, some_b = at_a[rows], at_b[rows]
        # Turned before they are spread out over the pairs: a picture has many, and strides are slow to walk.
        turned = np.ascontiguousarray(_turn_tiles(x, k))[some_a]
        deviation = turn_each(deviation_a, k)[some_a]
        correlations = np.einsum("nijuv,nijuv->nij", turned, y[some_b], optimize=False)
        weights = np.minimum(np.maximum(deviation, deviation_b[some_b]), FULL_CONTRAST)
        value = weighted_median(correlations.reshape(-1, N_TILES), weights.reshape(-1, N_TILES))
        better = value > best[rows]
        best[rows[better]], orientation[rows[better]] = value[better], k
    return best, orientation


def _likely_orientations(
    a: NDArray[np.uint8], b: NDArray[np.uint8], at_a: Indices, at_b: Indices
) -> NDArray[np.int64]:
    """The orientations in which each pair's first is most like its second at a quarter of the size, (n, 2).

    The arguments are those of `_best_correlations`.
    """
    n = len(at_a)
    x, y = _coarse(a)[at_a], _coarse(b)[at_b].reshape(n, -1)
    alike = [np.einsum("np,np->n", turn_each(x, k).reshape(n, -1), y) for k in range(N_ORIENTATIONS)]
    return np.argsort(-np.stack(alike, axis=1), axis=1, kind="stable")[:, :N_TRIED]


def _coarse(squares: NDArray[np.uint8]) -> NDArray[np.float32]:
    pixels = squares.reshape(-1, SQUARE_PX // COARSENESS, COARSENESS, SQUARE_PX).astype(np.uint16)
    # Sums of strided slices: numpy's own mean over two short axes takes ten times as long.
    rows: Any = sum(pixels[:, :, k] for k in range(COARSENESS))
    means = sum(rows[:, :, k::COARSENESS] for k in range(COARSENESS)) / np.float32(COARSENESS**2)
    found: NDArray[np.float32] = means - means.mean(axis=(1, 2), keepdims=True)
    return found


def _normalised_tiles(squares: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Tiles (n, 4, 4, 8, 8) of mean 0 and, but for noise, norm 1, and their standard deviations (n, 4, 4)."""
    grid = SQUARE_PX // TILE_PX
    tiles = squares.reshape(-1, grid, TILE_PX, grid, TILE_PX).swapaxes(2, 3).astype(np.float32)
    tiles -= tiles.mean(axis=(3, 4), keepdims=True)
    variance = np.einsum("nijuv,nijuv->nij", tiles, tiles) / TILE_PX**2
    tiles /= np.sqrt((variance + TILE_NOISE_VARIANCE) * TILE_PX**2)[..., None, None]
    return tiles, np.sqrt(variance)


def _turn_tiles(tiles: NDArray[np.float32], k: int) -> NDArray[np.float32]:
    if k & 1:
        tiles = tiles[:, :, ::-1, :, ::-1]
    if k & 2:
        tiles = tiles[:, ::-1, :, ::-1, :]
    return tiles.transpose(0, 2, 1, 4, 3) if k & 4 else tiles
