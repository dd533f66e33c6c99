"""What the templates of the review show: words and numbers, no HTML."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cvsim.actions.plan import Entry
from cvsim.images.exif_table import PLACE_NAME, exif_table
from cvsim.names import printable
from cvsim.reports.html import Waterfall, waterfall_bars
from cvsim.reports.wording import byte_size, dimensions, keep_words, percent, relation_words
from cvsim.types import ImageRecord, ScoredPair
from cvsim.web.pairs import Facts
from cvsim.web.review import Review
from cvsim.web.review_groups import GroupView

_STATE_CLASSES = {"open": "", "decided": "decided", "done": "done"}
_MOST_BOXES_SHOWN = 16
_BADGES = {"keep": "Keep", "remove": "Goes", "skip": "Stays"}


@dataclass(frozen=True, slots=True)
class Row:
    """A group in the list."""

    number: int
    digests: tuple[str, ...]
    name: str
    n_files: int
    relation: str
    sure: str
    state: str
    bytes: int


@dataclass(frozen=True, slots=True)
class PictureView:
    """A file of the group."""

    file: int
    digest: str
    path: str
    name: str
    folder: str
    decision: str
    badge: str
    reason: str
    problem: str
    facts: str
    sure: str
    relation: str
    is_gone: bool
    width_px: int
    height_px: int
    boxes: list[list[int]]


@dataclass(frozen=True, slots=True)
class Difference:
    """A line of the table that puts two files side by side."""

    name: str
    kept: str
    other: str
    differs: bool


@dataclass(frozen=True, slots=True)
class PairView:
    """Two files of a group."""

    sure: str
    relation: str
    contained: str
    waterfall: Waterfall | None
    matrix: Any
    problem: str
    differences: tuple[Difference, ...]
    exif: tuple[Difference, ...]


def row_view(group: GroupView) -> Row:
    """Describe a group in one line of the list."""
    shown = (group.kept, *group.others)[:2]
    return Row(
        number=group.number,
        digests=tuple(entry.digest for entry in shown),
        name=printable(os.path.basename(group.kept.path)),
        n_files=len(group.entries),
        relation=", ".join(group.relations[:2]) or "not compared",
        sure="" if group.score is None else percent(group.score),
        state=_STATE_CLASSES[group.state],
        bytes=group.n_bytes,
    )


def _as_planned(entry: Entry) -> tuple[str, str]:
    """How sure, and what happened, as the plan has it."""
    score, relation = entry.extra.get("score"), entry.extra.get("relation")
    return (
        percent(score) if isinstance(score, float) else "",
        relation_words(relation) if isinstance(relation, str) else "",
    )


def in_order(group: GroupView) -> list[Entry]:
    """The kept file first, then what goes, then what stays."""
    return [group.kept, *sorted(group.others, key=lambda entry: entry.decision != "remove")]


def picture_views(review: Review, group: GroupView, facts: Facts) -> list[PictureView]:
    """Describe the files of a group, `in_order`."""
    return [_picture(review, group, entry, facts) for entry in in_order(group)]


def _picture(review: Review, group: GroupView, entry: Entry, facts: Facts) -> PictureView:
    folder, name = os.path.split(entry.path)
    record = facts.records.get(entry.path)
    is_gone = entry.path in group.gone
    sure, relation = _as_planned(entry)
    return PictureView(
        file=review.number[entry.path],
        digest=entry.digest,
        path=printable(entry.path),
        name=printable(name),
        folder=printable(short_folder(folder, review.roots)),
        decision=entry.decision,
        badge="Gone" if is_gone else _BADGES[entry.decision],
        reason=printable(_reason(entry)),
        problem="" if is_gone else printable(facts.missing.get(entry.path, "")),
        facts="" if record is None else _facts(record, entry),
        sure="" if entry is group.kept else sure,
        relation=relation,
        is_gone=is_gone,
        width_px=0 if record is None else record.width_px,
        height_px=0 if record is None else record.height_px,
        boxes=[] if entry is group.kept else _boxes(entry),
    )


def _boxes(entry: Entry) -> list[list[int]]:
    """Where the file differs from the kept one, by its proof; a plan may hold anything there."""
    proof = entry.extra.get("proof")
    found = proof.get("boxes") if isinstance(proof, dict) else None
    return [
        box
        for box in (found if isinstance(found, list) else [])[:_MOST_BOXES_SHOWN]
        if isinstance(box, list) and len(box) == 4 and all(type(value) is int for value in box)
    ]


def _reason(entry: Entry) -> str:
    if entry.decision == "keep":
        return "kept because you said so" if entry.rule == "you" else f"kept because {keep_words(entry.rule)}"
    # How to ask the command line for more is no help here: there is a key for it.
    return entry.reason.removeprefix("left alone: ").partition("; --include")[0]


def _facts(record: ImageRecord, entry: Entry) -> str:
    parts = [
        dimensions(record.width_px, record.height_px),
        byte_size(record.size_bytes),
        record.format.upper(),
    ]
    holds = entry.extra.get("holds")
    parts += (
        [printable(words) for words in holds if isinstance(words, str)] if isinstance(holds, list) else []
    )
    return " · ".join([part for part in parts if part] + (["damaged"] if record.damaged else []))


def short_folder(folder: str, roots: Sequence[str]) -> str:
    """A folder as seen from the one that was scanned, with that one's name before it."""
    for root in roots:
        if folder == root or folder.startswith(os.path.join(root, "")):
            rest = os.path.relpath(folder, root)
            return os.path.basename(root) + ("" if rest == "." else f"/{rest}")
    return folder


def pair_view(
    review: Review, kept: Entry, other: Entry, facts: Facts, pair: ScoredPair | None, problem: str
) -> PairView:
    """The kept file and another one: why they are the same, and in what they differ."""
    tables = [exif_table(entry.path) if entry.path in facts.records else {} for entry in (kept, other)]
    differences = tuple(_differences(review, kept, other, facts, tables))
    exif = tuple(_exif(*tables))
    if pair is None:
        return PairView(*_as_planned(other), "", None, None, printable(problem), differences, exif)
    contained = ""
    if pair.contained:
        part, whole = ("this one", "the kept one") if pair.contained == "b" else ("the kept one", "this one")
        contained = f"{part} shows a part of {whole}"
    return PairView(
        sure=percent(pair.score),
        relation=relation_words(pair.relation),
        contained=contained,
        waterfall=waterfall_bars(pair),
        matrix=_matrix(pair),
        problem="",
        differences=differences,
        exif=exif,
    )


def _matrix(pair: ScoredPair) -> Any:
    """The affine map from the unit square of a to that of b, where one was found."""
    for comparison in pair.comparisons:
        if matrix := comparison.detail.get("matrix"):
            return matrix
    return [[1, 0, 0], [0, 1, 0]] if pair.relation == "identical-file" else None


def _exif(first: Mapping[str, str], second: Mapping[str, str]) -> Iterator[Difference]:
    """Every name that one of the two has, in the order of the first."""
    for name in [*first, *(name for name in second if name not in first)]:
        one, other = (printable(table.get(name, "")) or "none" for table in (first, second))
        yield Difference(printable(name), one, other, one != other)


def _differences(
    review: Review, kept: Entry, other: Entry, facts: Facts, exif: Sequence[Mapping[str, str]]
) -> Iterator[Difference]:
    for (name, first), (_, second) in zip(
        _properties(review, kept, facts, exif[0]), _properties(review, other, facts, exif[1]), strict=True
    ):
        differs = first != second or (name == "Size" and kept.size_bytes != other.size_bytes)
        yield Difference(name, first, second, differs)


def _properties(
    review: Review, entry: Entry, facts: Facts, exif: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """List names and values, the same names for every file."""
    record = facts.records.get(entry.path)
    folder, name = os.path.split(entry.path)
    yield "Taken", "?" if record is None else (record.taken_at or "unknown").replace("T", " ")
    yield "Place", "?" if record is None else exif.get(PLACE_NAME) or ("yes" if record.has_gps else "none")
    yield "Folder", printable(short_folder(folder, review.roots))
    yield "Name", printable(name)
    yield "Pixels", "?" if record is None else dimensions(record.width_px, record.height_px)
    yield "Format", "?" if record is None else record.format.upper()
    yield "Size", byte_size(entry.size_bytes)
    yield "Intact", "?" if record is None else "damaged" if record.damaged else "yes"
    yield "Changed", _time(entry.mtime_ns)


def _time(mtime_ns: int) -> str:
    try:
        return datetime.fromtimestamp(mtime_ns // 10**9).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return "out of range"
