"""The spreadsheet's report: one row a member.

RFC 4180: comma, CRLF, quotes doubled. File names keep their bytes, also those that are not UTF-8.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from cvsim.names import path_cell, text_cell
from cvsim.reports.explanation import decision, is_with_kept, links
from cvsim.types import DedupeResult, Group

COLUMNS = (
    "group",
    "decision",
    "path",
    "score",
    "relation",
    "size_bytes",
    "width_px",
    "height_px",
    "damaged",
    "reason",
)


def to_csv(result: DedupeResult) -> bytes:
    """The members of every group as CSV, in the encoding that file names have on disk.

    ``decision`` is ``keep``, ``remove`` or ``-`` (left alone). ``score`` and ``relation`` are the member's
    own with the kept file, or with the further kept one that it goes for: empty where that pair was never
    scored, or is not linked.
    """
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow(COLUMNS)
    for group in result.groups:
        writer.writerows(_rows(group))
    return buffer.getvalue().encode("utf-8", "surrogateescape")


def _rows(group: Group) -> Iterator[tuple[object, ...]]:
    edges, kept_for = links(group), group.kept_for
    for member in group.members:
        record = member.record
        edge, score = edges.get(record.path), member.score
        if kept_for[record.path] != group.keep and edge is not None:
            score = edge.score
        elif edge is not None and not is_with_kept(edge, group):
            edge = None
        yield (
            group.id,
            decision(group, member),
            path_cell(record.path),
            "" if score is None else float(score),
            "" if edge is None else edge.relation,
            record.size_bytes,
            record.width_px,
            record.height_px,
            "yes" if record.damaged else "",
            text_cell(member.reason),
        )
