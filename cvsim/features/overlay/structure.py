"""Whether two pictures that lie over each other hold the same structure, and where.

Strangers share frames: a program's window, a polaroid's border, the axes of a chart. So what lies in the
middle of both pictures counts most, and flat ground on neither side. A copy that was painted over shares its
ground: paint hides the edges of one picture, or adds edges to it, but a stranger has edges of its own on both
sides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from cvsim.arrays import ramp
from cvsim.features.overlay.correlation import (
    BROKEN,
    CLEAR_ON_BOTH,
    DIFFERENT,
    KEPT,
    MAX_DISPLACEMENT_PX,
    MIN_CORRELATION,
    Agreement,
    contrast_weight,
    median_shift,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Plane = NDArray[np.float32]
    """(H, W), of pixels; or (n,), of tiles."""

AT_BORDER, CENTRAL = 0.1, 0.25
"""What a tile at a picture's border counts, and from which distance, in shares of the side, it counts 1."""
CLEAR_SLOPE = 1.5
"""Levels a pixel from which there is an edge."""
MUCH_FLATTER = 0.4
"""Slope on one side, as a share of the other's, below which an edge is on one side only."""
NEAR_PX = 5
"""Side of the square in which an edge's counterpart may lie: blurring and compression widen edges."""
ALONG, ACROSS = (0.5, 0.8), (0.3, 0.7)
"""Cosine of twice the angle between two slopes from which they come to run the same way, and below which
another one."""
LITTLE_SLOPE = 0.3
"""Mean slope of a tile that says half as much as a steep one."""
_DIGITS = 4
GRID = 4
"""Cells a side of the grid on which agreement must be spread."""
PAINTED_CELLS = 6
"""Cells of the grid that a sticker, a black bar or a few of them may cover."""
PAINTED = (0.02, 0.1)
"""By how much more of the edges are on one side alone than on the other one alone, up to which nothing was
painted over, and from which all that differs may be paint."""
CONTRAST_FACTOR = 1.4
"""By how much less the contrast of tiles says that they differ than their correlation does: forms with other
entries have the same of both. These, `DIFFERENT` and `CLEAR_ON_BOTH` were chosen by hand on forms, codes and
bills that were drawn for it, and on altered copies of six pictures of each of nine sorts; tried on part c of
benchmarks/drawn_sorts.py."""
EQUAL_TILES = 3
"""Tiles that must agree before they say by which factor one side has more contrast."""


@dataclass(frozen=True, slots=True)
class Structure:
    """What the middle of an overlap says.

    Attributes
    ----------
    share, shift_px : float
        As in `Agreement`, by place.
    n_kept : float
        Tiles of full contrast, in the middle, whose edges run the same way on both sides.
    broken : float
        Share of the contrast in tiles whose edges have nothing to do with each other, in [0, 1].
    unlike : float
        Share of the edges that run another way on the other side, or for which each side has edges where the
        other has none, in [0, 1]: paint on one side is not counted.
    exchanged : float
        Share of the edges that each side has where the other has none, in [0, 1], without the cells of a grid
        where most are: paint hides edges in one place and adds its own there.
    contradicted : float
        Share of the contrast in tiles that differ and are clear on both sides, in [0, 1]: paint on one side
        is not counted.
    spread : float
        Share of the edges that are the same in the middle cells of a grid, the worst of them left out.
    """

    share: float
    shift_px: float
    n_kept: float
    broken: float
    unlike: float
    exchanged: float
    contradicted: float
    spread: float


def structure(
    a: NDArray[np.uint8],
    b: NDArray[np.uint8],
    agreement: Agreement,
    likeness: NDArray[np.float32],
    central: NDArray[Any],
    tile_px: int,
) -> Structure:
    """Of two pictures of one size.

    Parameters
    ----------
    a, b : (H, W) uint8
        Grey values, lightly blurred.
    agreement : Agreement
        Of their tiles.
    likeness, central : (n,)
        See `correlation.edge_likeness`, and what each tile counts for its place.
    tile_px : int
    """
    contrast = contrast_weight(agreement.deviation)
    weight = contrast * central
    total = max(float(weight.sum()), 1e-6)
    kept = ramp(likeness, *KEPT)
    broken = np.clip((BROKEN[1] - likeness) / (BROKEN[1] - BROKEN[0]), 0, 1)
    shift_px = np.hypot(agreement.shifts[:, 0], agreement.shifts[:, 1])
    agrees = (agreement.correlations > MIN_CORRELATION) & (shift_px < MAX_DISPLACEMENT_PX)
    edges = _edges(a, b, agreement, tile_px)
    same, crossing, only_a, only_b = (float(weight @ part) for part in edges)
    unlike = crossing + min(only_a, only_b)
    return Structure(
        share=_plain(float(weight @ agrees) / total),
        shift_px=median_shift(agreement, shift_px, weight),
        n_kept=_plain(float(weight @ kept)),
        broken=_plain(float(weight @ broken) / total),
        unlike=_plain(unlike / (same + unlike + 1e-3)),
        exchanged=_plain(_exchanged(agreement.places, weight, edges)),
        contradicted=_plain(_contradicted(agreement, weight, 1 - float(weight @ agrees) / total, edges)),
        spread=_plain(_spread(agreement.places, contrast, edges.same)),
    )


def _contradicted(agreement: Agreement, weight: NDArray[Any], different: float, edges: _Edges) -> float:
    """Two looks at the tiles that differ: their contrast on both sides, and edges on one side alone."""
    clear = agreement.lesser_deviation / np.maximum(agreement.deviation, 1e-3)
    by_contrast = (1 - ramp(agreement.correlations, *DIFFERENT)) * ramp(clear, *CLEAR_ON_BOTH)
    by_contrast = float(weight @ by_contrast) / max(float(weight.sum()), 1e-6)
    only_a, only_b = float(edges.only_a.sum()), float(edges.only_b.sum())
    total = sum(float(part.sum()) for part in edges)
    painted = abs(only_a - only_b) / (total + 1e-3)
    by_edges = different * float(1 - ramp(painted, *PAINTED))
    return min(by_edges, CONTRAST_FACTOR * by_contrast)


def _plain(value: float) -> float:
    """Without the last digits, which depend on where in memory the planes lie."""
    return round(value, _DIGITS)


def centrality(x: NDArray[Any], y: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """What points of a picture of size (width, height) count for their place: from `AT_BORDER` to 1."""
    width, height = size
    reach = np.minimum(np.minimum(x, width - x) / width, np.minimum(y, height - y) / height)
    return np.asarray(AT_BORDER + (1 - AT_BORDER) * np.clip(reach / CENTRAL, 0.0, 1.0))


class _Edges(NamedTuple):
    """Of each tile, (n,): the shares of its edges that are the same, run across, or are on one side only."""

    same: Plane
    crossing: Plane
    only_a: Plane
    only_b: Plane


def _edges(a: NDArray[np.uint8], b: NDArray[np.uint8], agreement: Agreement, tile_px: int) -> _Edges:
    columns, rows = (agreement.places // tile_px).astype(np.int64).T
    height, width = (n // tile_px * tile_px for n in a.shape)

    def means(values: Plane) -> Plane:
        cells = values[:height, :width].reshape(height // tile_px, tile_px, width // tile_px, tile_px)
        found: Plane = cells.sum(axis=1).sum(axis=2)[rows, columns] / np.float32(tile_px**2)
        return found

    gain = _gain(a, b, agreement, means)
    (ax, ay), (bx, by) = _slopes(a, 1.0), _slopes(b, gain)
    steep_a, steep_b = np.sqrt(ax * ax + ay * ay), np.sqrt(bx * bx + by * by)
    near = np.ones((NEAR_PX, NEAR_PX), np.uint8)
    only_a = steep_a * ((steep_a > CLEAR_SLOPE) & (cv2.dilate(steep_b, near) < MUCH_FLATTER * steep_a))
    only_b = steep_b * ((steep_b > CLEAR_SLOPE) & (cv2.dilate(steep_a, near) < MUCH_FLATTER * steep_b))
    lower, higher = np.minimum(steep_a, steep_b), np.maximum(steep_a, steep_b)
    both = lower * ((lower > CLEAR_SLOPE) & (lower > MUCH_FLATTER * higher))
    along, across = ax * bx + ay * by, ax * by - ay * bx
    cosine = (along * along - across * across) / np.maximum(steep_a * steep_b, 1e-6) ** 2
    same = both * ramp(cosine, *ALONG)
    crossing = both * np.clip((ACROSS[1] - cosine) / (ACROSS[1] - ACROSS[0]), 0, 1)
    parts = [means(part) for part in (same, crossing, only_a, only_b)]
    total = sum(parts, np.float32(LITTLE_SLOPE))
    return _Edges(*(part / total for part in parts))


def _gain(a: NDArray[np.uint8], b: NDArray[np.uint8], agreement: Agreement, means: Any) -> float:
    """By how much more contrast `a` has, where both show the same."""

    def deviations(gray: NDArray[np.uint8]) -> Plane:
        values = gray.astype(np.float32)
        found: Plane = np.sqrt(np.maximum(means(values * values) - means(values) ** 2, 0))
        return found

    of_a, of_b = deviations(a), deviations(b)
    equal = agreement.correlations > MIN_CORRELATION
    if np.count_nonzero(equal) >= EQUAL_TILES:
        of_a, of_b = of_a[equal], of_b[equal]
    return (float(of_a.sum()) + 1) / (float(of_b.sum()) + 1)


def _slopes(gray: NDArray[np.uint8], gain: float) -> tuple[Plane, Plane]:
    """Along x and along y, in levels a pixel.

    Whole numbers first: what OpenCV makes of floats differs, in the last digit, by where they lie in memory.
    """
    x, y = (cv2.Sobel(gray, cv2.CV_16S, *along).astype(np.float32) for along in ((1, 0), (0, 1)))
    return x * np.float32(gain / 8), y * np.float32(gain / 8)


def _exchanged(places: NDArray[np.float32], weight: NDArray[Any], edges: _Edges) -> float:
    number = _cell_of(places)
    total, only_a, only_b = (
        np.bincount(number, weight * part, GRID**2) for part in (sum(edges), edges.only_a, edges.only_b)
    )
    left = np.argsort(only_a + only_b, kind="stable")[: GRID**2 - PAINTED_CELLS]
    return float(min(only_a[left].sum(), only_b[left].sum()) / (total[left].sum() + 1e-3))


def _cell_of(places: NDArray[np.float32]) -> NDArray[np.int64]:
    """The cell of a `GRID` over all of them that each tile lies in, (n,)."""
    low = places.min(axis=0)
    cell = np.minimum((places - low) / (places.max(axis=0) - low + 1e-6) * GRID, GRID - 1).astype(np.int64)
    number: NDArray[np.int64] = cell[:, 0] * GRID + cell[:, 1]
    return number


def _spread(places: NDArray[np.float32], contrast: NDArray[Any], same: Plane) -> float:
    number = _cell_of(places)
    found = np.bincount(number, contrast * same, GRID**2) / np.maximum(
        np.bincount(number, contrast, GRID**2), 0.5
    )
    middle = np.sort(found.reshape(GRID, GRID)[1:-1, 1:-1], axis=None)
    return float(middle[1:].mean())
