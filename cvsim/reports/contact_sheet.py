"""Contact sheets: the pictures of each group in a row, as one PNG a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np

from cvsim.errors import CvsimError
from cvsim.reports.maps import small

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHEET_CELL_PX = 72
N_SHEET_COLUMNS = 14
N_ROWS = 20
SHEET_NAME_PX = 18


def contact_sheets(labels: Sequence[str], thumbnails: Sequence[bytes | None]) -> Iterator[bytes]:
    """PNG pages, the largest group first. A group of more than a row is cut, with a count of the rest."""
    groups: dict[str, list[int]] = {}
    for i, label in enumerate(labels):
        groups.setdefault(label, []).append(i)
    ordered = sorted(groups.items(), key=lambda entry: (-len(entry[1]), entry[0]))
    for start in range(0, len(ordered), N_ROWS):
        rows = [_row(label, members, thumbnails) for label, members in ordered[start : start + N_ROWS]]
        page = cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR)
        is_written, data = cv2.imencode(".png", page)
        if not is_written:
            raise CvsimError("a contact sheet could not be written as PNG")
        yield data.tobytes()


def _row(label: str, members: Sequence[int], thumbnails: Sequence[bytes | None]) -> NDArray[np.uint8]:
    row = np.full((SHEET_CELL_PX + SHEET_NAME_PX, SHEET_CELL_PX * N_SHEET_COLUMNS, 3), 255, np.uint8)
    more = f" (+{len(members) - N_SHEET_COLUMNS} more)" if len(members) > N_SHEET_COLUMNS else ""
    # OpenCV's letters are ASCII only.
    text = f"{label}: {len(members)}{more}".encode("ascii", "replace").decode()
    cv2.putText(row, text, (4, SHEET_NAME_PX - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
    for column, member in enumerate(members[:N_SHEET_COLUMNS]):
        pixels = small(thumbnails[member])
        if pixels is not None:
            top, left = SHEET_NAME_PX + (SHEET_CELL_PX - len(pixels)) // 2, column * SHEET_CELL_PX
            left += (SHEET_CELL_PX - pixels.shape[1]) // 2
            row[top : top + len(pixels), left : left + pixels.shape[1]] = pixels
    return row
