"""The person's report: one self-contained HTML page with its thumbnails inside.

It opens from disk, asks the network for nothing, and its content security policy forbids it to: only the
style and the script that were written into it run, by their hashes. File names are hostile text; Jinja
escapes every one of them. The page is made group by group, so that thousands of groups need no memory.
"""

from __future__ import annotations

import base64
import functools
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup

from cvsim.names import printable
from cvsim.reports import explanation, wording
from cvsim.reports.pages import asset, csp_hash, page_templates
from cvsim.types import Box, DedupeResult, Group, ImageRecord, Member, ScoredPair, Skipped, SkippedKind

Thumbnail = Callable[[ImageRecord], bytes | None]
"""The JPEG bytes of a small version of a picture, or None where there is none."""

_PER_PAGE = 50
"""Groups that the page shows at a time, as its script counts them. The others stand in it as text, which a
browser reads a hundred times as fast as it builds them."""
_MAX_LINKS = 40
"""How many of a group's other links are shown; only the weakest are worth a line each."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One row of a waterfall, in the units of its SVG: 0 to 100 across."""

    label: str
    similarity: float | None
    is_prior: bool
    weight: float
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Waterfall:
    """What makes up a score: its bars, where zero lies, and the total in log-odds."""

    bars: tuple[Bar, ...]
    zero: float
    total: float
    score: float


@dataclass(frozen=True, slots=True)
class CardPicture:
    """One member of a group, ready to be shown."""

    record: ImageRecord
    name: str
    folder: str
    href: str
    image: str
    decision: str
    why: str
    reason: str
    holds: str
    boxes: tuple[Box, ...]
    link: ScoredPair | None
    linked_to: str
    waterfall: Waterfall | None


@dataclass(frozen=True, slots=True)
class Card:
    """One group, ready to be shown."""

    group: Group
    kept: CardPicture
    others: tuple[CardPicture, ...]
    relations: tuple[str, ...]
    warnings: tuple[str, ...]
    other_links: tuple[ScoredPair, ...]
    n_more_links: int
    bytes: int


def to_html(
    result: DedupeResult,
    thumbnail: Thumbnail | None = None,
    *,
    folder: str | os.PathLike[str] | None = None,
    base: str = "",
) -> Iterator[bytes]:
    """The page, in UTF-8 chunks.

    Parameters
    ----------
    result : DedupeResult
    thumbnail : callable, optional
        `ImageRecord` -> JPEG bytes, or None; pictures are shown without a preview where there is none.
    folder : path, optional
        Where the page will lie: pictures then link to their files, relative to it.
    base : str
        Where relative paths of the result lie; the working folder if empty.
    """
    template = page_templates("cvsim.reports").get_template("dedupe.html")
    style, script = asset("dedupe.css"), asset("dedupe.js")
    threshold = explanation.threshold_of(result)
    href = functools.partial(_href, folder=folder, base=base)
    for_looking = explanation.are_for_looking(result)
    stream = template.stream(
        result=result,
        per_page=_PER_PAGE,
        cards=(_card(group, threshold, thumbnail, href) for group in _most_bytes_first(result.groups)),
        relations=_relation_counts(result),
        skipped=_skipped_by_reason(result.skipped),
        left="" if for_looking else explanation.left_in_words(result),
        for_looking=for_looking,
        doubtful=explanation.doubtful_words(result.doubtful),
        threshold=threshold,
        sources=[printable(str(path)) for path in _sources(result)],
        style=Markup(style),
        script=Markup(script),
        style_hash=csp_hash(style),
        script_hash=csp_hash(script),
    )
    stream.enable_buffering(64)
    for chunk in stream:
        yield chunk.encode("utf-8", "backslashreplace")


def _most_bytes_first(groups: tuple[Group, ...]) -> list[Group]:
    """The order in which the page's script shows them, too, until a person chooses another."""
    return sorted(groups, key=lambda group: (-explanation.reclaimable_bytes(group), group.id))


def _sources(result: DedupeResult) -> tuple[object, ...]:
    paths = result.settings.get("paths", ())
    return tuple(paths) if isinstance(paths, (list, tuple)) else (paths,)


def _relation_counts(result: DedupeResult) -> list[tuple[str, int]]:
    """How many groups hold each relation, in the order of `wording.RELATIONS`."""
    counts = Counter(relation for group in result.groups for relation in _relations(group))
    order = list(wording.RELATIONS)
    return sorted(counts.items(), key=lambda item: order.index(item[0]) if item[0] in order else len(order))


def _relations(group: Group) -> tuple[str, ...]:
    return tuple(dict.fromkeys(edge.relation for edge in explanation.links(group).values()))


def _skipped_by_reason(skipped: tuple[Skipped, ...]) -> list[tuple[str, SkippedKind, list[str]]]:
    """Reasons in alphabetical order with kind and paths; files that are no pictures at all come last."""
    by_reason: dict[str, list[Skipped]] = {}
    for item in skipped:
        by_reason.setdefault(item.reason, []).append(item)
    rows = [(reason, items[0].kind, [item.path for item in items]) for reason, items in by_reason.items()]
    return sorted(rows, key=lambda row: (row[1] == "not-an-image", row[0]))


def _card(
    group: Group,
    threshold: float | None,
    thumbnail: Thumbnail | None,
    href: Callable[[str], str],
) -> Card:
    links = explanation.links(group)
    pictures = [
        _picture(group, member, links.get(member.record.path), thumbnail, href)
        for member in explanation.in_order(group)
    ]
    shown = set(map(id, links.values()))
    rest = sorted((edge for edge in group.edges if id(edge) not in shown), key=lambda edge: edge.score)
    return Card(
        group=group,
        kept=pictures[0],
        others=tuple(pictures[1:]),
        relations=_relations(group),
        warnings=tuple(explanation.warnings(group, threshold)),
        other_links=tuple(rest[:_MAX_LINKS]),
        n_more_links=max(0, len(rest) - _MAX_LINKS),
        bytes=explanation.reclaimable_bytes(group),
    )


def _picture(
    group: Group,
    member: Member,
    link: ScoredPair | None,
    thumbnail: Thumbnail | None,
    href: Callable[[str], str],
) -> CardPicture:
    record = member.record
    directory, name = os.path.split(record.path)
    jpeg = thumbnail(record) if thumbnail is not None else None
    return CardPicture(
        record=record,
        name=printable(name),
        folder=printable(directory),
        href=href(record.path),
        image="" if jpeg is None else "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii"),
        decision=explanation.decision(group, member),
        why=explanation.kept_words(group) if record.path == group.keep else member.reason,
        reason=member.reason,
        holds=explanation.member_words(member),
        boxes=() if member.proof is None else member.proof.boxes,
        link=link,
        linked_to=_linked_to(group, record.path, link),
        waterfall=None if link is None else waterfall_bars(link),
    )


def _linked_to(group: Group, path: str, link: ScoredPair | None) -> str:
    """The name at the other end of a link that is not with the kept file."""
    if link is None or explanation.is_with_kept(link, group):
        return ""
    other = link.pair.b if link.pair.a == path else link.pair.a
    return printable(os.path.basename(other))


def _href(path: str, *, folder: str | os.PathLike[str] | None, base: str) -> str:
    """A relative link to the file, byte for byte, whatever its name is."""
    if folder is None:
        return ""
    # Links in the report's own folder would be followed by the browser: resolve them before it does.
    relative = os.path.relpath(os.path.abspath(os.path.join(base, path)), os.path.realpath(folder))
    return quote(os.fsencode(Path(relative).as_posix()), safe="/")


def waterfall_bars(pair: ScoredPair) -> Waterfall | None:
    """The bars that make up a score, for an SVG 100 units wide; None for a pair without comparisons."""
    if not pair.comparisons:
        return None
    steps = explanation.waterfall(pair)
    low, high = explanation.span(steps)
    scale = 100 / ((high - low) or 1.0)

    def position(log_odds: float) -> float:
        return round((min(max(log_odds, low), high) - low) * scale, 2)

    bars = []
    for index, step in enumerate(steps):
        left, right = sorted((position(step.start), position(step.end)))
        width = round(max(right - left, 0.6), 2)
        bars.append(Bar(step.label, step.similarity, index == 0, step.weight, min(left, 100 - width), width))
    return Waterfall(tuple(bars), position(0.0), steps[-1].end, pair.score)
