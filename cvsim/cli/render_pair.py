"""What ``cvsim compare`` prints for a person: the waterfall from the prior to the score."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from cvsim.names import printable
from cvsim.reports import explanation
from cvsim.reports.explanation import WaterfallStep
from cvsim.types import ScoredPair

_MAX_BAR = 44
_MIN_BAR = 12
_FIXED = 34
"""Columns that a line needs besides its label and its bar."""


def print_pair(console: Console, pair: ScoredPair, threshold: float) -> None:
    """Every signal with its weight, their sum, the score, and what that means at `threshold`."""
    console.print(Text.assemble(("a  ", "bold"), printable(pair.pair.a)), overflow="fold")
    console.print(Text.assemble(("b  ", "bold"), printable(pair.pair.b)), overflow="fold")
    console.print()
    _print_waterfall(console, pair)
    console.print()
    console.print(_verdict(pair, threshold))


def matrix_lines(title: str, files: Sequence[str], values: Sequence[Sequence[float | None]]) -> Iterator[str]:
    """One line a file with its values, from -1 to 1, by the numbers of the others."""
    yield f"{title:>6}" + "".join(f"{column + 1:>8}" for column in range(len(files)))
    for number, (file, row) in enumerate(zip(files, values, strict=True), start=1):
        cells = "".join(f"{'none':>8}" if value is None else f"{value:>8.3f}" for value in row)
        yield f"{number:>6}{cells}  {printable(file)}"


def _print_waterfall(console: Console, pair: ScoredPair) -> None:
    steps = explanation.waterfall(pair)
    low, high = explanation.span(steps)
    label = max(len("before any evidence"), *(len(step.label) for step in steps))
    bar = max(_MIN_BAR, min(_MAX_BAR, console.width - label - _FIXED))
    filled, empty = ("#", ".") if console.options.ascii_only else ("█", "·")
    console.print(Text(f"{'signal':<{label}}  alike  {'evidence':<{bar}}  log-odds", style="dim"))
    details = {comparison.feature: comparison.detail for comparison in pair.comparisons}
    for index, step in enumerate(steps):
        name = "before any evidence" if index == 0 else printable(step.label)
        alike = "" if index == 0 else "none" if step.similarity is None else f"{step.similarity:.2f}"
        line = Text(f"{name:<{label}}  {alike:>5}  ")
        line.append_text(_bar(step, low, high, bar, filled, empty, is_prior=index == 0))
        line.append(f"  {step.weight:>+8.2f}")
        detail = _detail(details[step.label]) if index else ""
        if detail and len(line) + 2 + len(detail) <= console.width:
            line.append(f"  {detail}", style="dim")
        console.print(line, overflow="ellipsis", no_wrap=True)
    total = steps[-1].end
    console.print(Text(f"{'sum':<{label}}  {'':>5}  {'':<{bar}}  {total:>+8.2f}", style="bold"))


def _bar(
    step: WaterfallStep, low: float, high: float, width: int, filled: str, empty: str, *, is_prior: bool
) -> Text:
    """The step's stretch of the way, on a line from the lowest log-odds reached to the highest."""

    def column(log_odds: float) -> int:
        share = (min(max(log_odds, low), high) - low) / ((high - low) or 1.0)
        return round(share * width)

    left, right = sorted((column(step.start), column(step.end)))
    if step.weight and left == right:
        left, right = min(left, width - 1), min(left, width - 1) + 1
    style = "dim" if is_prior else "green" if step.weight >= 0 else "red"
    return Text.assemble(
        (empty * left, "dim"), (filled * (right - left), style), (empty * (width - right), "dim")
    )


def _detail(detail: Mapping[str, Any]) -> str:
    shown = (
        f"{name} {_value(value)}" for name, value in detail.items() if isinstance(value, (int, float, str))
    )
    return printable(", ".join(shown))


def _value(value: float | str) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _verdict(pair: ScoredPair, threshold: float) -> Text:
    certainty, meaning = explanation.verdict(pair, threshold)
    return Text.assemble((certainty, "bold green" if pair.score >= threshold else "bold"), meaning)
