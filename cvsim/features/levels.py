"""Levels: the two pictures as small colour squares, point by point, with nothing fitted to each other.

This is evidence for what was re-encoded, resized or turned and not changed otherwise. On flat ground, in
drawings and in the dark, correlation and hashes say little, for strangers agree there, too; that no point of
a picture differs by more than encoding does says much, if the picture shows anything at all. It speaks
only for a pair: whatever was brightened, captioned or cropped differs, and may be the same picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cvsim.features.base import Feature
from cvsim.features.ground import compare_cut_outs, ground_of, laid_on
from cvsim.features.information import PARAMS, is_informative
from cvsim.features.orientation import N_ORIENTATIONS, turn, turn_each
from cvsim.features.picture import Picture
from cvsim.types import Comparison

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.types import RGB, Indices, Similarities

LEVELS_PX, BLOCKS = 32, 8
N_WORST = 10
"""Points that differ most, whose mean counts: a caption or a sticker covers more of 1,024, noise fewer."""
NOISE_LEVELS = 4.0
"""Added to the contrast, in grey levels: pictures of next to nothing are no evidence for each other."""
HALF_DIFFERENCE = 0.1
"""Difference, as a share of the contrast, at which the similarity is a half.

This and the two above were chosen by hand on copies of photographs, charts and colours of one product (both
parts); tried on altered copies of five sorts of pictures that took no part in the fit, where strangers
stay below 0.4, too. What the similarity is worth is fitted by benchmarks/train_models.py."""
GREEN = 1
"""The channel by which the orientation is found."""
WORTH_A_LOOK = 0.2
"""A mean of 4 x 4 points differs by no more than the worst points do: where it says less than this, its word
is taken, and the points of strangers are not looked at."""
CHUNK = 512
"""Pairs compared at once: bounds the memory of `Levels.compare_many` to about 10 MB."""


class Levels(Feature["NDArray[np.uint8]"]):
    """1 / (1 + d / 0.1), d being the largest differences of points against the contrast of the picture.

    A descriptor is (32, 32, 3) uint8 RGB of the whole picture; of a cut-out (32, 32, 4), with its alpha, or
    (32, 32, 7), with the colours under that as well. A pair is compared in the orientation in which squares
    of 8 points a side differ least, a cut-out on the other one's ground or without its alpha.
    """

    name = "levels"

    @property
    def params(self) -> Mapping[str, Any]:
        return {"side_px": LEVELS_PX, **PARAMS}

    def extract(self, rgb: RGB) -> NDArray[np.uint8] | None:
        return self.extract_from(Picture(rgb))

    def extract_from(self, picture: Picture) -> NDArray[np.uint8] | None:
        # One edge, or noise in the dark, is the same at every point, too.
        shown = [picture, *picture.on_other_grounds]
        if not any(is_informative(one.squares(LEVELS_PX)[0]) for one in shown):
            return None
        square, alpha = picture.color_square(LEVELS_PX), picture.alpha_square(LEVELS_PX)
        if alpha is None:
            return square
        bare = [] if picture.bare is None else [picture.bare.color_square(LEVELS_PX)]
        return np.dstack([square, alpha, *bare])

    def compare(self, a: NDArray[np.uint8] | None, b: NDArray[np.uint8] | None) -> tuple[Comparison, ...]:
        if a is None or b is None:
            return (Comparison(self.name, None),)
        return (Comparison(self.name, max(self._compared(x, y) for x, y in _as_shown(a, b))),)

    def _compared(self, a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
        means = _block_means(b[None])[0]
        blocks = [np.abs(_block_means(turn(a, k)[None])[0] - means) for k in range(N_ORIENTATIONS)]
        k = int(np.argmin([block[..., GREEN].sum() for block in blocks]))
        contrast = max(float(_contrast(a[None])[0]), float(_contrast(b[None])[0])) + NOISE_LEVELS
        similarity = _similarity(float(blocks[k].max()) / contrast)
        if similarity >= WORTH_A_LOOK:
            points = np.abs(turn(a, k).astype(int) - b).max(axis=2)
            similarity = _similarity(float(np.sort(points, axis=None)[-N_WORST:].mean()) / contrast)
        return float(similarity)

    def pack(self, descriptors: Sequence[NDArray[np.uint8] | None]) -> Any:
        squares = np.zeros((len(descriptors), LEVELS_PX, LEVELS_PX, 3), np.uint8)
        is_known = np.zeros(len(descriptors), bool)
        cut_out: dict[int, NDArray[np.uint8]] = {}
        for i, d in enumerate(descriptors):
            if d is not None:
                squares[i], is_known[i] = d[..., :3], True
                if d.shape[2] > 3:
                    cut_out[i] = d
        return _PackedSquares(squares, is_known, _block_means(squares), _contrast(squares), cut_out)

    def compare_many(self, packed: Any, a: Indices, b: Indices) -> dict[str, Similarities]:
        squares, is_known = packed.squares, packed.is_known
        means, contrast = packed.means, packed.contrast
        found = np.full(len(a), np.nan, np.float32)
        rows = np.flatnonzero(is_known[a] & is_known[b])
        for start in range(0, len(rows), CHUNK):
            part = rows[start : start + CHUNK]
            i, j = a[part], b[part]
            orientation = _orientations(means[..., GREEN][i], means[..., GREEN][j])
            least = np.maximum(contrast[i], contrast[j]) + NOISE_LEVELS
            for k in np.unique(orientation).tolist():
                at = np.flatnonzero(orientation == k)
                blocks = np.abs(turn_each(means[i[at]], k) - means[j[at]]).reshape(len(at), -1)
                found[part[at]] = _similarity(blocks.max(axis=1) / least[at])
                at = at[found[part[at]] >= WORTH_A_LOOK]
                if len(at):
                    worst = _worst(turn_each(squares[i[at]], k), squares[j[at]])
                    found[part[at]] = _similarity(worst / least[at])
        compare_cut_outs(self.compare, squares, is_known, packed.cut_out, a, b, found)
        return {self.name: found}

    def to_bytes(self, descriptor: NDArray[np.uint8]) -> bytes:
        return descriptor.tobytes()

    def from_bytes(self, data: bytes) -> NDArray[np.uint8]:
        return np.frombuffer(data, np.uint8).reshape(LEVELS_PX, LEVELS_PX, -1)


@dataclass(frozen=True, eq=False)
class _PackedSquares:
    """Squares of a collection on white, what is made of them, and the cut-outs with their alpha, by row."""

    squares: NDArray[np.uint8]
    is_known: NDArray[np.bool_]
    means: NDArray[np.float32]
    contrast: NDArray[np.float64]
    cut_out: Mapping[int, NDArray[np.uint8]]


def _as_shown(
    a: NDArray[np.uint8], b: NDArray[np.uint8]
) -> list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Both as RGB, (32, 32, 3): a cut-out as an opaque picture may show it, two of them on white."""
    if (a.shape[2] > 3) == (b.shape[2] > 3):
        return [(a[..., :3], b[..., :3])]
    if b.shape[2] > 3:
        return [(x, y) for y, x in _as_shown(b, a)]
    ground = ground_of(b)
    shown = a[..., :3] if ground is None else laid_on(a[..., :3], a[..., 3], ground)
    return [(one, b) for one in (shown, a[..., 4:]) if one.shape[2]]


def _block_means(squares: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Means of 4 x 4 points, (n, 8, 8, 3)."""
    step = LEVELS_PX // BLOCKS
    tiles = squares.reshape(-1, BLOCKS, step, BLOCKS, step, 3)
    found: NDArray[np.float32] = tiles.sum(axis=(2, 4), dtype=np.int16) / np.float32(step * step)
    return found


def _orientations(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.int64]:
    """In which orientation each of `a` differs least from its `b`, both (n, 8, 8); (n,)."""
    differences = [np.abs(turn_each(a, k) - b).sum(axis=(1, 2)) for k in range(N_ORIENTATIONS)]
    found: NDArray[np.int64] = np.argmin(differences, axis=0)
    return found


def _contrast(squares: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Standard deviation of the points' grey levels, (n,)."""
    gray = squares.reshape(-1, LEVELS_PX**2, 3).mean(axis=2)
    found: NDArray[np.float64] = gray.std(axis=1)
    return found


def _worst(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Mean of the largest differences of points, in levels of the channel that differs most, (n,)."""
    points = (np.maximum(a, b) - np.minimum(a, b)).max(axis=3).reshape(len(a), -1)
    found: NDArray[np.float64] = np.partition(points, -N_WORST, axis=1)[:, -N_WORST:].mean(axis=1)
    return found


def _similarity(difference: Any) -> Any:
    """Of differences as shares of the contrast."""
    return 1 / (1 + difference / HALF_DIFFERENCE)
