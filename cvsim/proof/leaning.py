"""Whether a small copy is all a little darker, or of another tint, than the picture that would be kept."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from cvsim.proof.scan import VISIBLE, fits

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TINT_PX = max(VISIBLE)
"""Side of the boxes in which a tint shows (`cvsim.proof.scan`)."""
_SEEN = 2.0
_LEANING, _DEVIATIONS = 0.7, 2.5
"""Share of all that differs that goes one way, and how many times what it would be by chance. Chosen on 70
textures of 16 and icons of 16 to 128 pixels, encoded in 25 ways and recoloured in 7, these in 3 encodings: of
1,371 recoloured ones 584 passed so far and 77 do now (a few pixels each, or shades that hardly differ), of
true copies 1,267 and 1,215, what is lost being 16 pixels large and lossy. Tried on 40 sprites and flags (241
of 840, now 7) and on 1,600 thumbnails of 25 photographs, of which it costs 3."""


def leaning(residuals: Iterable[NDArray[np.float32]]) -> float:
    """1 or more if what the residual of any plane that is too small for boxes has goes one way: up or down.

    What encoders and resampling leave is of both signs, for they keep means. Where a picture is too small for
    boxes in which noise averages out, that is all that tells a change of colour from them.
    """
    return max((_leaning(plane) for plane in residuals if not fits(_TINT_PX, plane)), default=0.0)


def _leaning(residual: NDArray[np.float32]) -> float:
    seen = residual[np.abs(residual) >= _SEEN]
    if not len(seen):
        return 0.0
    shift = abs(float(seen.mean()))
    share = shift / float(np.abs(seen).mean())
    return float(min(share / _LEANING, share * len(seen) ** 0.5 / _DEVIATIONS, shift / VISIBLE[_TINT_PX]))
