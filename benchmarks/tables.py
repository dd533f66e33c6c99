"""Tables of the benchmarks in Markdown, and their place in README.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

README = Path(__file__).with_name("README.md")


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table; the first column is text, the others are figures."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def share(value: float | None, digits: int = 3) -> str:
    """A share of 1, never rounded up to it: 0.9996 is not 1.000."""
    if value is None:
        return ""
    step = 10.0**-digits
    return f"{min(value, 1 - step) if value < 1 else value:.{digits}f}"


def count(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def number(value: float | None, digits: int = 1) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


def write_section(name: str, content: str, readme: Path = README) -> None:
    """Replace what stands between ``<!-- name -->`` and ``<!-- /name -->`` in README.md."""
    text = readme.read_text(encoding="utf-8")
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    if begin not in text or end not in text:
        raise SystemExit(f"{readme} has no place for the section {name!r}: {begin} ... {end}")
    before, rest = text.split(begin, 1)
    after = rest.split(end, 1)[1]
    readme.write_text(f"{before}{begin}\n\n{content.strip()}\n\n{end}{after}", encoding="utf-8")
