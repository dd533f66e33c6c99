"""What ``cvsim dedupe`` prints for a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console
from rich.style import Style
from rich.text import Text

from cvsim.cli.console import file_link
from cvsim.cli.how_much import HowMuch
from cvsim.names import printable
from cvsim.reports import explanation
from cvsim.reports.wording import RELATIONS, byte_size, dimensions, percent, quantity
from cvsim.types import DedupeResult, Group, Member, ScoredPair, Skipped

_NARROW = 84
"""Below this many columns a path gets a line of its own."""
_AT_LEAST = 1
"""Groups that are printed on the smallest screen."""
_MAX_SKIPPED = 4
"""Skipped files that are listed where not everything is printed."""
_STYLES = {"keep": "bold green", "remove": "red", "-": "dim", "indexed": "bold green"}
_DECISIONS = {"keep": "keep", "remove": "remove", "-": "leave", "indexed": "have"}


@dataclass(frozen=True, slots=True)
class _Row:
    decision: str
    relation: str
    sure: str
    dimensions: str
    size: str
    path: str
    damaged: bool
    holds: str
    linked_with: str


@dataclass(frozen=True, slots=True)
class _Layout:
    """What all groups have in common on the page: the widths of the columns, and whether paths are links."""

    widths: tuple[int, int, int, int]
    links: bool

    @classmethod
    def of(cls, result: DedupeResult, *, links: bool) -> _Layout:
        rows = [row for group in result.groups for row in _rows(group)]
        columns = zip(*((row.relation, row.sure, row.dimensions, row.size) for row in rows), strict=True)
        relation, sure, dimensions, size = (max(map(len, column)) for column in columns) if rows else (0,) * 4
        return cls((relation, sure, dimensions, size), links)


def print_result(console: Console, result: DedupeResult, how_much: HowMuch | None = None) -> None:
    """Groups with what to keep and why, what was left or skipped, and the totals.

    Parameters
    ----------
    console : Console
    result : DedupeResult
    how_much : HowMuch, optional
        How much of it. By default a screenful on a terminal, and everything elsewhere.
    """
    how_much = how_much or HowMuch()
    limit = how_much.limit
    if limit is None and (how_much.pager or not console.is_terminal):
        limit = 0
    tail = list(_tail(result, all_skipped=limit == 0))
    if how_much.summary:
        lines = [*_by_relation(result), *tail]
    else:
        layout = _Layout.of(result, links=not how_much.pager)
        rows = console.height - _n_rows(console, tail) if limit is None else None
        lines = [*_groups(console, result, layout, limit or len(result.groups), rows), *tail]
    for line in lines:
        console.print(line, overflow="fold")


def _groups(
    console: Console, result: DedupeResult, layout: _Layout, limit: int, n_rows: int | None
) -> Iterator[Text]:
    """At most `limit` groups, at most `n_rows` of the screen full, and how many more there are."""
    threshold = explanation.threshold_of(result)
    if n_rows is not None:  # Two are for the hint and the prompt that follow.
        n_rows -= _n_rows(console, [_more(result.groups)]) + 1 + 2
    for n_shown, group in enumerate(result.groups):
        lines = list(_group_lines(console, group, threshold, layout))
        if n_rows is not None:
            n_rows -= _n_rows(console, lines)
        if n_shown == limit or (n_rows is not None and n_rows < 0 and n_shown >= _AT_LEAST):
            yield _more(result.groups[n_shown:])
            yield Text()
            return
        yield from lines


def _n_rows(console: Console, lines: list[Text]) -> int:
    return sum(len(line.wrap(console, console.width, overflow="fold")) or 1 for line in lines)


def _more(groups: tuple[Group, ...]) -> Text:
    """``and 280 more groups (1,204 pictures, 3.1 GB can be freed)``."""
    n_pictures = sum(len(group.members) for group in groups)
    n_bytes = sum(map(explanation.reclaimable_bytes, groups))
    what = quantity(n_pictures, "picture") + (f", {byte_size(n_bytes)} can be freed" if n_bytes else "")
    text = Text(f"and {quantity(len(groups), 'more group')} ({what})", style="bold")
    return text.append("; --limit 0 prints all, --pager page by page", style="not bold")


def _group_lines(console: Console, group: Group, threshold: float | None, layout: _Layout) -> Iterator[Text]:
    yield _title(group)
    for row in _rows(group):
        yield from (_narrow if console.width < _NARROW else _wide)(row, layout)
    for warning in explanation.warnings(group, threshold):
        yield Text(f"  ! {warning}", style="yellow")
    yield Text()


def _title(group: Group) -> Text:
    text = Text(f"Group {group.id}", style="bold")
    parts = [quantity(len(group.members), "picture")]
    if n_bytes := explanation.reclaimable_bytes(group):
        parts.append(f"{byte_size(n_bytes)} can be freed")
    parts.append(f"keep the first: {explanation.kept_words(group)}")
    if n := len(group.versions):
        parts.append(f"and {quantity(n, 'other version')} that {'has' if n == 1 else 'have'} copies")
    return text.append(" · " + " · ".join(parts), style="not bold")


def _rows(group: Group) -> Iterator[_Row]:
    links = explanation.links(group)
    for member in explanation.in_order(group):
        record = member.record
        link = links.get(record.path)
        yield _Row(
            decision="indexed" if member.indexed else explanation.decision(group, member),
            relation=link.relation if link else "",
            sure=percent(link.score) if link else "",
            dimensions=dimensions(record.width_px, record.height_px),
            size=byte_size(record.size_bytes),
            path=record.path,
            damaged=record.damaged,
            holds=explanation.member_words(member),
            linked_with=_third(link, record.path, group),
        )


def _third(link: ScoredPair | None, path: str, group: Group) -> str:
    """The other end of a link that is not with the kept file: what is printed of it is another claim."""
    if link is None or explanation.is_with_kept(link, group):
        return ""
    return link.pair.b if link.pair.a == path else link.pair.a


def _wide(row: _Row, layout: _Layout) -> Iterator[Text]:
    relation, *numbers = layout.widths
    facts = [f"{row.relation:<{relation}}"]
    facts += [f"{fact:>{n}}" for fact, n in zip((row.sure, row.dimensions, row.size), numbers, strict=True)]
    yield Text.assemble("  ", _decision(row), "  ", "  ".join(facts), "  ", _path(row, layout))


def _narrow(row: _Row, layout: _Layout) -> Iterator[Text]:
    yield Text.assemble("  ", _decision(row), "  ", _path(row, layout))
    facts = [fact for fact in (row.relation, row.sure, row.dimensions, row.size) if fact]
    yield Text("          " + " · ".join(facts), style="dim")


def _decision(row: _Row) -> Text:
    return Text(f"{_DECISIONS[row.decision]:<6}", style=_STYLES[row.decision])


def _path(row: _Row, layout: _Layout) -> Text:
    text = Text(printable(row.path), style=Style(link=file_link(row.path) if layout.links else None))
    if row.damaged:
        text.append(" (damaged)", style="yellow")
    if row.holds:
        text.append(f" ({printable(row.holds)})", style="cyan")
    if row.linked_with:
        text.append(f" (with {printable(row.linked_with)}, not the first)", style="dim")
    return text


def _by_relation(result: DedupeResult) -> Iterator[Text]:
    """A line a relation: how many copies are of that kind, how many can go, and what that frees."""
    tied: dict[str, list[Member]] = {}
    for group in result.groups:
        links = explanation.links(group)
        for member in group.members:
            if member.record.path in links:
                tied.setdefault(links[member.record.path].relation, []).append(member)
    rows = [("", "copies", "can go", "frees")]
    for relation in sorted(tied, key=list(RELATIONS).index):
        going = [member for member in tied[relation] if member.proposed]
        n_bytes = sum(member.record.size_bytes for member in going)
        rows.append((relation, f"{len(tied[relation]):,}", f"{len(going):,}", byte_size(n_bytes)))
    if len(rows) == 1:
        return
    name, *numbers = (max(map(len, column)) for column in zip(*rows, strict=True))
    for first, *rest in rows:
        cells = (f"{cell:>{n}}" for cell, n in zip(rest, numbers, strict=True))
        yield Text(f"  {first:<{name}}  " + "  ".join(cells), style="" if first else "dim")
    yield Text()


def _tail(result: DedupeResult, *, all_skipped: bool) -> Iterator[Text]:
    if not explanation.are_for_looking(result):
        yield from _left_alone(result)
    yield from _doubtful(result.doubtful, len(result.doubtful) if all_skipped else _MAX_SKIPPED)
    yield from _skipped(result.skipped, len(result.skipped) if all_skipped else _MAX_SKIPPED)
    yield _totals(result)


def _left_alone(result: DedupeResult) -> Iterator[Text]:
    """Why copies are not proposed for removal: once a reason, since the reasons are few."""
    reasons = Counter(
        member.reason.removeprefix("left alone: ")
        for group in result.groups
        for member in group.members
        if explanation.is_left(group, member) and member.reason
    )
    if not reasons:
        return
    yield Text(explanation.left_in_words(result), style="bold")
    for reason, n in sorted(reasons.items(), key=lambda item: (-item[1], item[0])):
        yield Text(f"  {n:,}  {printable(reason)}")
    yield Text()


def _doubtful(links: tuple[ScoredPair, ...], limit: int) -> Iterator[Text]:
    """Each link that was left out, so that nobody wonders why two files are in two groups."""
    if not links:
        return
    yield Text(f"{explanation.doubtful_words(links)} See cvsim compare", style="bold")
    for link in links[:limit]:
        sides = f"{printable(link.pair.a)}  {printable(link.pair.b)}"
        yield Text.assemble("  ", sides, (f"  {percent(link.score)}, {link.relation}", "yellow"))
    if len(links) > limit:
        yield Text(f"  and {len(links) - limit:,} more", style="dim")
    yield Text()


def _skipped(skipped: tuple[Skipped, ...], limit: int) -> Iterator[Text]:
    """Each skipped file with its reason, but not files that do not even claim to be pictures."""
    listed = [item for item in skipped if item.is_worth_naming]
    if not listed:
        return
    yield Text(f"Skipped {quantity(len(listed), 'file')}", style="bold")
    for item in listed[:limit]:
        yield Text.assemble("  ", printable(item.path), (f"  {printable(item.reason)}", "yellow"))
    if len(listed) > limit:
        yield Text(f"  and {len(listed) - limit:,} more", style="dim")
    yield Text()


def _totals(result: DedupeResult) -> Text:
    counts = result.counts
    text = Text()
    if counts.groups and explanation.are_for_looking(result):
        profile = result.settings["profile"]
        text.append(f"{quantity(counts.groups, 'group')} to look at", style="bold")
        text.append(
            ", the picture to keep first; nothing is proposed for removal. For copies that can go, run it "
            f"without --profile {profile}; --include similar proposes like pictures"
        )
    elif counts.groups:
        text.append(
            f"{quantity(counts.groups, 'group')}, {quantity(counts.duplicates, 'duplicate')}, "
            f"{byte_size(counts.reclaimable_bytes)} can be freed",
            style="bold",
        )
        if not counts.duplicates:
            text.append(" (nothing here can go without losing something)")
    elif counts.images:
        text.append("No copies", style="bold")
    else:
        text.append("There was no picture to look at", style="bold")
    if counts.images:
        text.append(f". Looked at {quantity(counts.images, 'picture')}")
        if counts.indexed:
            indexed = quantity(counts.indexed, "indexed picture")
            text.append(f", {counts.known:,} of them known among {indexed}")
    if counts.skipped:
        n_others = sum(item.kind == "not-an-image" for item in result.skipped)
        text.append(f"; skipped {quantity(counts.skipped, 'file')}")
        n_halves = sum(item.kind == "raw-half" for item in result.skipped)
        if n_others:
            text.append(f" ({n_others:,} of them no images)" if n_others < counts.skipped else " (no images)")
        if n_halves:
            text.append(f" ({n_halves:,} of them RAW halves of pairs)")
    return text.append(".")
