"""What a picture was made from: one that was compressed much harder, or one certain JPEG.

Decoding a JPEG leaves its coefficients at multiples of its quantisation steps, however finely the pixels are
stored afterwards (Fan and de Queiroz, 2003). That is read back from the blocks that lie where they lay.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

from cvsim.proof.encoding import BLOCK_PX, coefficients, encoded_again
from cvsim.proof.grids import INVERSE, turned
from cvsim.proof.residual import GRID_PX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cvsim.proof.picture import ProofPicture
    from cvsim.types import RGB

_FREQUENCIES = ((0, 1), (1, 0), (1, 1), (0, 2), (2, 0), (1, 2), (2, 1))
"""Vertical and horizontal: those of which most pictures have enough."""
_STEPS = range(8, 160)
_READ_PX = 1024
_OFF, _LEAST_OFF = 1.5, 3.0
"""Grey levels that rounding moves a coefficient by, at most times; and from which one is not 0."""
_SIZE_STEP, _N_SIZES = 0.25, 4352
"""Grey levels, and how many of them the coefficients of a block reach to."""
_LEAST_BLOCKS, _LEAST_SHARE = 40, 0.8
LEAST_COARSE_STEP = 14.0
"""About quality 40: nobody keeps such a picture for its quality."""
_TIMES_ITS_OWN = 2.0
_WINDOW_SIDE = 512
_MOST_MISSED, _MOST_OF_BACK = 0.3, 0.5
"""Of 8 photographs of metadata-extractor-images in 5 qualities, encoded again in 6, all missed 0.00 grey
levels. Where both came from a third picture it was 0.5 and more; or both missed alike, having equal steps.
Tried on other photographs of that set by `benchmarks/proof.py`."""


def was_once_coarse(picture: ProofPicture) -> bool:
    """Whether the picture was quantised far more coarsely than its file is."""
    own = 1.0 if picture.jpeg is None else float(np.mean([picture.jpeg.tables[0][f] for f in _FREQUENCIES]))
    if picture.stored_as or own * _TIMES_ITS_OWN > max(_STEPS):
        return False
    step = hidden_step(picture.rgb)
    return step >= LEAST_COARSE_STEP and step > _TIMES_ITS_OWN * own


def was_made_from(kept: ProofPicture, copy: ProofPicture, orientation: int) -> bool:
    """Whether the JPEG `kept` is what its encoder makes of `copy` at this size, and not the other way round.

    Parameters
    ----------
    kept, copy : ProofPicture
        Of one content.
    orientation : int
        That turns `kept` as `copy` is shown.
    """
    here = _miss(kept, turned(copy.rgb, INVERSE[orientation]))
    if here is None or here > _MOST_MISSED:
        return False
    back = _miss(copy, turned(kept.rgb, orientation))
    return back is not None and here < _MOST_OF_BACK * back


def _miss(made: ProofPicture, source: RGB) -> float | None:
    """Mean difference, in grey levels of luma, of `made` from what its encoder makes of `source`."""
    if made.jpeg is None or not made.jpeg.is_simulable or source.shape != made.rgb.shape:
        return None
    stored = [turned(rgb, made.stored_as) for rgb in (made.rgb, source)]
    rows, columns = (_middle(side) for side in stored[0].shape[:2])
    parts = [np.ascontiguousarray(rgb[rows, columns]) for rgb in stored]
    shown = parts[0], encoded_again(parts[1], made.jpeg)
    difference = cv2.absdiff(*(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY) for rgb in shown))
    return float(difference.mean())


def _middle(side: int) -> slice:
    """A window on the grid of the largest units that a JPEG codes at once."""
    start = max(0, side - _WINDOW_SIDE) // 2 // GRID_PX * GRID_PX
    return slice(start, start + _WINDOW_SIDE)


def _luma_blocks(rgb: RGB) -> NDArray[np.float32] | None:
    """Coefficients of the upper left part, see `coefficients`; None if it has no whole block."""
    height, width = (min(side, _READ_PX) // BLOCK_PX * BLOCK_PX for side in rgb.shape[:2])
    if not height or not width:
        return None
    luma = cv2.cvtColor(np.ascontiguousarray(rgb[:height, :width]), cv2.COLOR_RGB2YCrCb)[..., 0]
    return coefficients(luma.astype(np.float32) - 128)


def hidden_step(rgb: RGB) -> float:
    """The mean quantisation step that the luma of a picture shows; 0 where it shows none.

    Parameters
    ----------
    rgb : (h, w, 3) uint8
        Its corner is that of the picture that was quantised.
    """
    blocks = _luma_blocks(rgb)
    if blocks is None:
        return 0.0
    # What overshoots is cut off when it is decoded, and its block tells nothing any more.
    n_down, _, n_across, _ = blocks.shape
    part = np.ascontiguousarray(rgb[: n_down * BLOCK_PX, : n_across * BLOCK_PX])
    free = cv2.inRange(part, (1, 1, 1), (254, 254, 254))
    is_free = cv2.resize(free, (n_across, n_down), interpolation=cv2.INTER_AREA) == 255
    known = _steps([np.abs(blocks[:, v, :, u])[is_free] for v, u in _FREQUENCIES])
    return float(np.mean(known)) if 2 * len(known) >= len(_FREQUENCIES) else 0.0


def _steps(sizes: Sequence[NDArray[np.float32]]) -> list[float]:
    """The largest step of whose multiples nearly all of the coefficients are that are not 0.

    Of each frequency of which there are enough, where there is one.
    """
    present = [some[some > _LEAST_OFF] for some in sizes]
    bins = [
        np.minimum(some / _SIZE_STEP, _N_SIZES - 1).astype(np.intp)
        for some in present
        if len(some) >= _LEAST_BLOCKS
    ]
    if not bins:
        return []
    n_sizes = 1 + max(int(some.max()) for some in bins)  # few blocks reach far
    counts = np.stack([np.bincount(some, minlength=n_sizes) for some in bins]).astype(np.float32)
    near, chance = _multiples()
    share = counts @ near[:n_sizes] / counts.sum(axis=1, keepdims=True)
    good = (np.flatnonzero(row >= chance) for row in share)
    return [float(_STEPS[last[-1]]) for last in good if len(last)]


@cache
def _multiples() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Which bins of coefficients lie near a multiple of each step, and what share of them proves it.

    The first is (n_sizes, n_steps). Chance alone puts some near a multiple: small steps prove little.
    """
    middles = (np.arange(_N_SIZES) + 0.5) * _SIZE_STEP
    steps = np.array(_STEPS, np.float64)
    off = np.abs(middles[:, None] - steps * np.maximum(np.round(middles[:, None] / steps), 1))
    return (off <= _OFF).astype(np.float32), np.maximum(_LEAST_SHARE, 3 * _OFF / steps).astype(np.float32)
