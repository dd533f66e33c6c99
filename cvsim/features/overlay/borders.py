"""Uniform borders: frames and letterbox bars that a copy was given, found from the grey picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.types import Gray

Extent = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels, the upper ends exclusive."""

MAX_RANGE = 20
"""Grey levels between the darkest and the brightest pixel of a border line: JPEG ringing stays below."""

CERTAIN_RANGE = 4
"""The same, for lines that nothing but a painted border has; a clear sky has more."""

MIN_BORDER_SHARE = 0.015
"""Of the picture's side; thinner borders change no hash."""

MIN_CONTENT_SHARE = 0.2
"""Of the picture's area; less is a blank page with a mark on it, not a picture in a frame."""

CERTAIN_BORDER_SHARE = 0.1
"""Of the picture's area: a certain border of this size would make strangers alike if it were compared."""

_N_FEW = 8


def content_box(gray: Gray) -> Extent | None:
    """The part inside the uniform borders of a picture, (H, W) uint8; None where there are none."""
    height, width = gray.shape
    y0, y1 = _content_range(gray)
    if y1 <= y0:
        return None
    x0, x1 = _content_range(gray[y0:y1].T)
    if x1 <= x0 or (x1 - x0) * (y1 - y0) < MIN_CONTENT_SHARE * width * height:
        return None
    thickest = max(x0 / width, 1 - x1 / width, y0 / height, 1 - y1 / height)
    return (x0, y0, x1, y1) if thickest >= MIN_BORDER_SHARE else None


def views_of(gray: Gray) -> list[Gray]:
    """What of a picture is compared: the whole, the part inside its borders, or both.

    What looks like a border may be a clear sky, which a copy with more noise does not have: then both
    are kept. A large border that is certainly painted is left out, for it would make strangers alike.
    """
    box = content_box(gray)
    if box is None:
        return [gray]
    x0, y0, x1, y1 = box
    inner = gray[y0:y1, x0:x1]
    return [inner] if _is_certain(gray, box) else [gray, inner]


def _is_certain(gray: Gray, box: Extent) -> bool:
    height, width = gray.shape
    x0, y0, x1, y1 = box
    if 1 - (x1 - x0) * (y1 - y0) / (width * height) < CERTAIN_BORDER_SHARE:
        return False
    # The outer half of each side: the inner half may ring from the content.
    strips = (
        gray[: (y0 + 1) // 2],
        gray[(y1 + height) // 2 :],
        gray[:, : (x0 + 1) // 2],
        gray[:, (x1 + width) // 2 :],
    )
    return all(int(s.max()) - int(s.min()) <= CERTAIN_RANGE for s in strips if s.size)


def _content_range(gray: Gray) -> tuple[int, int]:
    """First row that is not border, and the end of the last one."""
    if not any(_is_uniform(line) for line in (gray[0], gray[-1])):  # most pictures: no need of all their rows
        return 0, len(gray)
    low, high = gray.min(axis=1).astype(np.int16), gray.max(axis=1).astype(np.int16)
    first = _border_lines(low, high)
    last = _border_lines(low[::-1], high[::-1])
    return first, len(low) - last


def _is_uniform(line: Gray) -> bool:
    few = line[:: max(1, len(line) // _N_FEW)].tolist()
    if max(few) - min(few) > MAX_RANGE:  # of most lines a few pixels tell
        return False
    return int(line.max()) - int(line.min()) <= MAX_RANGE


def _border_lines(low: NDArray[np.int16], high: NDArray[np.int16]) -> int:
    """How many lines from the start are uniform and of the colour of the first one."""
    base_low, base_high = low[0], high[0]
    if base_high - base_low > MAX_RANGE:
        return 0
    inside = (low < base_high - MAX_RANGE) | (high > base_low + MAX_RANGE)
    n = int(np.argmax(inside)) if inside.any() else len(low)
    # The line next to the content is a mixture of both after resizing: it goes with the border.
    return n + 1 if 0 < n < len(low) else n
