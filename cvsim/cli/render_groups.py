"""What ``cvsim dedupe`` prints for a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console
from rich.style import Style
from rich.text import Text

from cvsim.cli.console import file_link
from cvsim.images.holdings import in_words
from cvsim.names import printable
from cvsim.reports import explanation
from cvsim.reports.wording import byte_size, dimensions, keep_words, percent, quantity
from cvsim.types import DedupeResult, Group, ScoredPair, Skipped

_NARROW = 84
"""Below this many columns a path gets a line of its own."""
_STYLES = {"keep": "bold green", "remove": "red", "-": "dim"}
_DECISIONS = {"keep": "keep", "remove": "remove", "-": "leave"}


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


def print_result(console: Console, result: DedupeResult) -> None:
    """Every group with what to keep and why, what was skipped, and the totals."""
    threshold = explanation.threshold_of(result)
    for group in result.groups:
        _print_group(console, group, threshold)
    _print_left_alone(console, result)
    _print_skipped(console, result.skipped)
    console.print(_totals(result))


def _print_group(console: Console, group: Group, threshold: float | None) -> None:
    console.print(_title(group))
    rows = list(_rows(group))
    if console.width < _NARROW:
        for row in rows:
            _print_narrow(console, row)
    else:
        widths = [
            max(len(getattr(row, name)) for row in rows)
            for name in ("relation", "sure", "dimensions", "size")
        ]
        for row in rows:
            _print_wide(console, row, widths)
    for warning in explanation.warnings(group, threshold):
        console.print(Text(f"  ! {warning}", style="yellow"))
    console.print()


def _title(group: Group) -> Text:
    text = Text(f"Group {group.id}", style="bold")
    parts = [quantity(len(group.members), "picture")]
    if n_bytes := explanation.reclaimable_bytes(group):
        parts.append(f"{byte_size(n_bytes)} can be freed")
    parts.append(f"keep the first: {keep_words(group.rule)}")
    return text.append(" · " + " · ".join(parts), style="not bold")


def _rows(group: Group) -> Iterator[_Row]:
    links = explanation.links(group)
    for member in group.members:
        record = member.record
        link = links.get(record.path)
        yield _Row(
            decision=explanation.decision(group, member),
            relation=link.relation if link else "",
            sure=percent(link.score) if link else "",
            dimensions=dimensions(record.width_px, record.height_px),
            size=byte_size(record.size_bytes),
            path=record.path,
            damaged=record.damaged,
            holds=", ".join(in_words(member.holds, record.format)),
            linked_with=_third(link, record.path, group),
        )


def _third(link: ScoredPair | None, path: str, group: Group) -> str:
    """The other end of a link that is not with the kept file: what is printed of it is another claim."""
    if link is None or explanation.is_with_kept(link, group):
        return ""
    return link.pair.b if link.pair.a == path else link.pair.a


def _print_wide(console: Console, row: _Row, widths: list[int]) -> None:
    relation, *numbers = widths
    facts = [f"{row.relation:<{relation}}"]
    facts += [f"{fact:>{n}}" for fact, n in zip((row.sure, row.dimensions, row.size), numbers, strict=True)]
    console.print(
        Text.assemble("  ", _decision(row), "  ", "  ".join(facts), "  ", _path(row)), overflow="fold"
    )


def _print_narrow(console: Console, row: _Row) -> None:
    console.print(Text.assemble("  ", _decision(row), "  ", _path(row)), overflow="fold")
    facts = [fact for fact in (row.relation, row.sure, row.dimensions, row.size) if fact]
    console.print(Text("          " + " · ".join(facts), style="dim"), overflow="fold")


def _decision(row: _Row) -> Text:
    return Text(f"{_DECISIONS[row.decision]:<6}", style=_STYLES[row.decision])


def _path(row: _Row) -> Text:
    text = Text(printable(row.path), style=Style(link=file_link(row.path)))
    if row.damaged:
        text.append(" (damaged)", style="yellow")
    if row.holds:
        text.append(f" ({printable(row.holds)})", style="cyan")
    if row.linked_with:
        text.append(f" (with {printable(row.linked_with)}, not the first)", style="dim")
    return text


def _print_left_alone(console: Console, result: DedupeResult) -> None:
    """Why copies are not proposed for removal: once a reason, since the reasons are few."""
    reasons = Counter(
        member.reason.removeprefix("left alone: ")
        for group in result.groups
        for member in group.members
        if explanation.decision(group, member) == "-" and member.reason
    )
    if not reasons:
        return
    console.print(Text(explanation.left_in_words(result), style="bold"), overflow="fold")
    for reason, n in sorted(reasons.items(), key=lambda item: (-item[1], item[0])):
        console.print(Text(f"  {n:,}  {printable(reason)}"), overflow="fold")
    console.print()


def _print_skipped(console: Console, skipped: tuple[Skipped, ...]) -> None:
    """Print each skipped file with its reason, but not files that are no images."""
    listed = [item for item in skipped if item.kind != "not-an-image"]
    if not listed:
        return
    console.print(Text(f"Skipped {quantity(len(listed), 'file')}", style="bold"))
    for item in listed:
        line = Text.assemble("  ", printable(item.path), (f"  {printable(item.reason)}", "yellow"))
        console.print(line, overflow="fold")
    console.print()


def _totals(result: DedupeResult) -> Text:
    counts = result.counts
    text = Text()
    if counts.groups:
        text.append(
            f"{quantity(counts.groups, 'group')}, {quantity(counts.duplicates, 'duplicate')}, "
            f"{byte_size(counts.reclaimable_bytes)} can be freed",
            style="bold",
        )
        if not counts.duplicates:
            text.append(" (nothing here can go without losing something)")
    else:
        text.append("No copies", style="bold")
    text.append(f". Looked at {quantity(counts.images, 'picture')}")
    if counts.skipped:
        n_others = sum(item.kind == "not-an-image" for item in result.skipped)
        text.append(f"; skipped {quantity(counts.skipped, 'file')}")
        if n_others:
            text.append(f" ({n_others:,} of them no images)" if n_others < counts.skipped else " (no images)")
    return text.append(".")
