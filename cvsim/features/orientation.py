"""The eight orientations of a square, in one fixed order for every feature.

Orientation k of an array: bit 0 mirrors left-right, bit 1 flips top-bottom, bit 2 then swaps rows and
columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

ORIENTATION_NAMES = (
    "upright",
    "mirrored",
    "flipped",
    "turned 180",
    "transposed",
    "turned 90 left",
    "turned 90 right",
    "transverse",
)
N_ORIENTATIONS = len(ORIENTATION_NAMES)
MIRRORED = (1, 2, 4, 7)
"""Orientations that no turning undoes."""


def turn(array: NDArray[Any], orientation: int) -> NDArray[Any]:
    """A view of `array` (H, W, ...) in one of the eight orientations."""
    if orientation & 1:
        array = array[:, ::-1]
    if orientation & 2:
        array = array[::-1]
    return array.swapaxes(0, 1) if orientation & 4 else array


def turn_each(arrays: NDArray[Any], orientation: int) -> NDArray[Any]:
    """`turn` of each of several arrays, (n, H, W, ...)."""
    if orientation & 1:
        arrays = arrays[:, :, ::-1]
    if orientation & 2:
        arrays = arrays[:, ::-1]
    return arrays.swapaxes(1, 2) if orientation & 4 else arrays
