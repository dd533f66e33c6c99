"""Whether places of one colour in a picture have one colour in the other picture, too.

Whatever an editor does, a turn of all hues, a negative of the highlights, a vignette, what had one colour
still has nearly one. The cells of two heat maps, or of two crosswords, lie exactly over each other, and each
is of the colour that its own number, or its own word, wants.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cvsim.features.overlay.recoloring import LUMA, LUMA_TOLERANCE, Colors, is_far_chroma, kept_share

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[Any]

LIKE_COLOR = 12.0
"""Standard deviation, in levels of a channel, of what is taken for one colour."""
LEAST_ALIKE = 0.5
"""Weight that tiles of a like colour have together from which they say what that colour became."""


def unruled_share(a: Colors, b: Colors, deviation: Floats, likeness: Floats) -> float:
    """Share of the tiles with the other's structure that have another colour than tiles like them have.

    Parameters
    ----------
    a, b, deviation, likeness
        As of `recoloring.recolored_share`.

    Returns
    -------
    float
        In [0, 1], from `a` to `b` or back, whichever leaves less: a solarised picture has one colour where
        the original had two.
    """
    return min(kept_share(_odd(*sides), deviation, likeness) for sides in ((a, b), (b, a)))


def _odd(source: Colors, target: Colors) -> NDArray[np.bool_]:
    length = (source.rgb**2).mean(axis=1)
    distance = length[:, None] + length - source.rgb @ source.rgb.T * (2 / 3)
    weight = np.exp(np.maximum(distance, 0) / (-2 * LIKE_COLOR**2))
    np.fill_diagonal(weight, 0.0)
    total = weight.sum(axis=1)
    usual = Colors.of((weight @ target.rgb / np.maximum(total, 1e-6)[:, None]).astype(np.float32))
    off = np.abs((usual.rgb - target.rgb) @ LUMA) > LUMA_TOLERANCE
    odd: NDArray[np.bool_] = (off | is_far_chroma(usual.chroma, target.chroma)) & (total > LEAST_ALIKE)
    return odd
