"""A contact sheet of a search: the query, then what was found, with scores and relations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from cvsim.errors import CvsimError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.types import RGB

HIT_CELL_PX = 180
N_HIT_COLUMNS = 5
LINE_PX = 16
N_LINES = 3
_MARGIN_PX = 6
_INK, _PALE = (20, 20, 20), (110, 110, 110)


@dataclass(frozen=True, eq=False)
class SheetCell:
    """A picture, `rgb` (h, w, 3) uint8 or None if there is none, and up to three lines below it."""

    rgb: RGB | None
    lines: tuple[str, ...]


def search_sheet(cells: Sequence[SheetCell]) -> bytes:
    """A PNG with the cells in rows; the first is the query, in a frame."""
    pictures = [_cell(cell, is_query=k == 0) for k, cell in enumerate(cells)]
    blank = np.full_like(pictures[0], 255)
    pictures += [blank] * (-len(pictures) % min(N_HIT_COLUMNS, len(pictures)))
    width = min(N_HIT_COLUMNS, len(cells))
    rows = [np.hstack(pictures[k : k + width]) for k in range(0, len(pictures), width)]
    is_written, data = cv2.imencode(".png", cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))
    if not is_written:
        raise CvsimError("the contact sheet could not be written as PNG")
    return data.tobytes()


def _cell(cell: SheetCell, is_query: bool) -> NDArray[np.uint8]:
    side = HIT_CELL_PX + 2 * _MARGIN_PX
    sheet = np.full((side + N_LINES * LINE_PX, side, 3), 255, np.uint8)
    if cell.rgb is not None:
        small = _fitted(cell.rgb)
        top, left = (side - small.shape[0]) // 2, (side - small.shape[1]) // 2
        sheet[top : top + small.shape[0], left : left + small.shape[1]] = small
    if is_query:
        cv2.rectangle(sheet, (2, 2), (side - 3, side - 3), (200, 60, 40), 2)
    for k, line in enumerate(cell.lines[:N_LINES]):
        # OpenCV's letters are ASCII only.
        text = line.encode("ascii", "replace").decode()
        at = (_MARGIN_PX, side + LINE_PX * (k + 1) - 5)
        cv2.putText(sheet, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.4, _PALE if k else _INK, 1, cv2.LINE_AA)
    return sheet


def _fitted(rgb: RGB) -> NDArray[np.uint8]:
    scale = min(HIT_CELL_PX / rgb.shape[0], HIT_CELL_PX / rgb.shape[1])
    size = max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale))
    fitted: NDArray[np.uint8] = cv2.resize(
        rgb, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    )
    return fitted
