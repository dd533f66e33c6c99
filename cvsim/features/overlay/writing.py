"""Whether two pictures that lie over each other have the same lines with other letters in them.

Strangers on one template, tickets, forms and slides, agree in all that was printed beforehand, and where they
differ they keep to the same lines: averaged along a line both are the same, letter by letter they are not.
What is painted over a copy, a caption or a stamp, has lines of its own, and what was encoded, blurred or
recoloured keeps its letters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cvsim.arrays import ramp
from cvsim.features.overlay.correlation import CLEAR_ON_BOTH, OVERLAP_NOISE_VARIANCE, contrast_weight

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.features.overlay.correlation import Agreement

    Tiles = NDArray[np.float32]
    """(n, tile_px, tile_px)"""

SAME_LINES = (0.8, 0.95)
"""Correlation of the means along the lines of a tile from which the lines come to be the same."""
OTHER_LETTERS = (0.0, 0.4)
"""Correlation of what is left of a tile without those means, up to which the letters are others, and from
which they are not. This and `SAME_LINES` were chosen by hand, of four pairs of limits, on linked strangers of
the drawn forms, bills, tickets, slides and codes of benchmarks/drawn_sorts.py (parts a to c), and on altered
copies of these and of nine other sorts of pictures."""
LETTERS = (2.0, 6.0)
"""Standard deviations of what is left, in grey levels, up to which there are no letters, and from which there
are. By hand on the same pictures. All three were tried on part d, drawn afterwards, and on photographs."""


def rewritten(a: NDArray[np.uint8], b: NDArray[np.uint8], agreement: Agreement, tile_px: int) -> float:
    """Share of the contrast in tiles with the same lines and other letters, in [0, 1].

    Parameters
    ----------
    a, b : (H, W) uint8
        Grey values, lightly blurred.
    agreement : Agreement
        Of their tiles.
    tile_px : int

    Returns
    -------
    float
        Along rows or along columns, whichever is more.
    """
    weight = contrast_weight(agreement.deviation)
    columns, rows = (agreement.places // tile_px).astype(np.int64).T
    of_a, of_b = (_tiles(side, tile_px)[rows, columns] for side in (a, b))
    total = max(float(weight.sum()), 1e-6)
    return max(float(weight @ _is_rewritten(of_a, of_b, axis)) / total for axis in (2, 1))


def _tiles(gray: NDArray[np.uint8], tile_px: int) -> Tiles:
    """The tiles by row and column, (rows, columns, tile_px, tile_px)."""
    height, width = (n // tile_px * tile_px for n in gray.shape)
    cells = gray[:height, :width].reshape(height // tile_px, tile_px, width // tile_px, tile_px)
    return cells.transpose(0, 2, 1, 3).astype(np.float32)


def _is_rewritten(a: Tiles, b: Tiles, along: int) -> NDArray[Any]:
    """Of each tile, (n,) in [0, 1]; lines run along this axis."""
    lines_a, lines_b = (side.mean(axis=along, keepdims=True) for side in (a, b))
    letters, letters_a, letters_b = _correlated(a - lines_a, b - lines_b)
    lines, _, _ = _correlated(lines_a, lines_b)
    fainter, clearer = np.minimum(letters_a, letters_b), np.maximum(letters_a, letters_b)
    has_letters = ramp(fainter, *LETTERS) * ramp(fainter / np.maximum(clearer, 1.0), *CLEAR_ON_BOTH)
    return np.asarray(ramp(lines, *SAME_LINES) * (1 - ramp(letters, *OTHER_LETTERS)) * has_letters)


def _correlated(a: Tiles, b: Tiles) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Correlation of each two tiles, and the standard deviation of each, (n,)."""
    a, b = (side - side.mean(axis=(1, 2), keepdims=True) for side in (a, b))
    var_a, var_b = ((side * side).mean(axis=(1, 2)) for side in (a, b))
    noise = OVERLAP_NOISE_VARIANCE
    correlation = (a * b).mean(axis=(1, 2)) / np.sqrt((var_a + noise) * (var_b + noise))
    return correlation, np.sqrt(var_a), np.sqrt(var_b)
