"""Cut-outs: pictures with transparent parts, and the one colour that somebody laid them on.

A file with transparency is described as it is shown on white. Saved without it, the same picture lies on
whatever colour a program chose: black, most of all. Laying is linear, so what is kept of a cut-out on
white is known on any other colour, too, once its alpha is kept with it. Some programs only drop the alpha:
then whatever colours the file has under its transparent parts come to light.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from cvsim.types import Comparison, Indices, Similarities

    Pixels = NDArray[np.uint8]

OPAQUE = 255
"""Alpha of what is opaque, and the grey level of white."""
OTHER_GROUNDS = (0, 128)
"""Grey levels of the grounds on which a cut-out is hashed beside white: whether the ground is darker or
lighter than the content decides about signs, and one of the three has it as the colour at hand has."""
LEAST_TRANSPARENT = 0.02
"""Share of a picture, by alpha, below which it is no cut-out: rounded corners, a shadow's end."""
HARDLY_SEEN, HIDDEN_LEVELS, LEAST_HIDDEN = 8, 24, 0.02
"""Alpha below which a pixel's colour is hidden; by how much a pixel must differ from a flat ground, and in
what share of the picture, to be something of its own: chosen by hand."""
RING_SHARE, RING_LEVELS = 0.5, 12
"""What part of the outermost pixels has the ground's colour at least, and by how much each channel may
differ. Chosen by hand: what was cut out may reach the border, and a JPEG's ground is not quite even. Tried
on drawn stamps and emoji, and on cut-out photographs, laid on five colours."""


def is_cut_out(alpha: Pixels) -> bool:
    """Whether enough of a picture is transparent; alpha is (h, w), 0 where nothing is seen."""
    return bool(1 - float(alpha.mean()) / OPAQUE >= LEAST_TRANSPARENT)


def hides_colors(bare: Pixels, on_white: Pixels, alpha: Pixels) -> bool:
    """Whether a cut-out without its alpha is more than the same on a ground of one colour.

    Parameters
    ----------
    bare : (h, w, 3) uint8
        The stored colours, whatever the alpha.
    on_white : (h, w, 3) uint8
    alpha : (h, w) uint8
    """
    hidden = bare[alpha < HARDLY_SEEN]
    ground = np.median(hidden, axis=0) if len(hidden) else OPAQUE
    laid = laid_on(on_white, alpha, ground).astype(np.int16)
    return bool((np.abs(laid - bare).max(axis=2) > HIDDEN_LEVELS).mean() >= LEAST_HIDDEN)


def ground_of(pixels: Pixels) -> NDArray[np.float32] | None:
    """The one colour around a picture, (h, w) or (h, w, 3), as (channels,); None where there is none."""
    planes = pixels.reshape(*pixels.shape[:2], -1)
    sides = (planes[0], planes[-1], planes[1:-1, 0], planes[1:-1, -1])
    ring = np.concatenate(sides).astype(np.float32)
    color = np.median(ring, axis=0)
    is_like = (np.abs(ring - color) <= RING_LEVELS).all(axis=1)
    return np.asarray(color, np.float32) if is_like.mean() >= RING_SHARE else None


def compare_cut_outs(
    compare: Callable[[Any, Any], tuple[Comparison, ...]],
    opaque: NDArray[Any],
    is_known: NDArray[np.bool_],
    cut_outs: Mapping[int, NDArray[Any]],
    a: Indices,
    b: Indices,
    found: Similarities,
) -> None:
    """Put into `found` what a feature says of the pairs of a cut-out and an opaque picture.

    A pair at a time: they are few.

    Parameters
    ----------
    compare : callable
        `Feature.compare` of a feature of one signal.
    opaque : (n_pictures, ...) array
        Descriptors; those of cut-outs as they are on white.
    is_known : (n_pictures,) bool
    cut_outs : mapping of int to array
        Whole descriptors of the cut-outs, by position.
    a, b : (n,) int64
    found : (n,) float32
    """
    if not cut_outs:
        return
    is_one = np.zeros(len(opaque), bool)
    is_one[list(cut_outs)] = True
    rows = np.flatnonzero((is_one[a] != is_one[b]) & is_known[a] & is_known[b])
    for row in rows.tolist():
        first, second = (cut_outs.get(k, opaque[k]) for k in (int(a[row]), int(b[row])))
        found[row] = compare(first, second)[0].similarity


def laid_on(on_white: Pixels, alpha: Pixels, ground: Any) -> Pixels:
    """A cut-out on another ground.

    Parameters
    ----------
    on_white : (h, w) or (h, w, 3) uint8
    alpha : (h, w) uint8
    ground : float or (channels,)
        In grey levels.
    """
    seen_through = 1 - alpha.astype(np.float32) / OPAQUE
    if on_white.ndim == 3:
        seen_through = seen_through[..., None]
    moved = on_white + seen_through * (np.asarray(ground, np.float32) - OPAQUE)
    return np.asarray(np.clip(np.rint(moved), 0, 255), np.uint8)
