"""Contact sheets: the pictures of each group in a row, as one PNG a page."""

from __future__ import annotations

import re
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
    """PNG pages, the largest group first, and pictures that are alone together at the end.

    Groups of one size are in the order of their labels, 2 before 10. A group of more than a row is cut, with
    a count of the rest.
    """
    groups: dict[str, list[int]] = {}
    for i, label in enumerate(labels):
        groups.setdefault(label, []).append(i)
    ordered = sorted(groups.items(), key=lambda entry: (-len(entry[1]), _natural(entry[0])))
    listed = [(_heading(label, len(members)), members) for label, members in ordered if len(members) > 1]
    alone = [(label, members[0]) for label, members in ordered if len(members) == 1]
    for start in range(0, len(alone), N_SHEET_COLUMNS):
        part = alone[start : start + N_SHEET_COLUMNS]
        heading = f"alone, {start + 1} to {start + len(part)} of {len(alone)}: "
        listed.append((heading + ", ".join(label for label, _ in part), [member for _, member in part]))
    for first in range(0, len(listed), N_ROWS):
        rows = [_row(heading, members, thumbnails) for heading, members in listed[first : first + N_ROWS]]
        page = cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR)
        is_written, data = cv2.imencode(".png", page)
        if not is_written:
            raise CvsimError("a contact sheet could not be written as PNG")
        yield data.tobytes()


def _natural(label: str) -> list[tuple[int, int, str]]:
    """Sort numbers within labels as numbers."""
    parts = re.findall(r"[0-9]+|[^0-9]+", label)
    return [(0, int(part), "") if part[0] in "0123456789" else (1, 0, part) for part in parts]


def _heading(label: str, n_members: int) -> str:
    more = f" (+{n_members - N_SHEET_COLUMNS} more)" if n_members > N_SHEET_COLUMNS else ""
    return f"{label}: {n_members}{more}"


def _row(heading: str, members: Sequence[int], thumbnails: Sequence[bytes | None]) -> NDArray[np.uint8]:
    row = np.full((SHEET_CELL_PX + SHEET_NAME_PX, SHEET_CELL_PX * N_SHEET_COLUMNS, 3), 255, np.uint8)
    text = heading.encode("ascii", "replace").decode()  # OpenCV's letters are ASCII only
    cv2.putText(row, text, (4, SHEET_NAME_PX - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
    for column, member in enumerate(members[:N_SHEET_COLUMNS]):
        pixels = small(thumbnails[member])
        if pixels is not None:
            top, left = SHEET_NAME_PX + (SHEET_CELL_PX - len(pixels)) // 2, column * SHEET_CELL_PX
            left += (SHEET_CELL_PX - pixels.shape[1]) // 2
            row[top : top + len(pixels), left : left + pixels.shape[1]] = pixels
    return row
