"""The tables of what `scale.py` measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tables import count, number, table, write_section

Result = dict[str, Any]


def write_tables(result: Result, readme: Path) -> None:
    """Put a table into each of its sections of the README."""
    for name, text in sections(result).items():
        write_section(name, text, readme)


def sections(result: Result) -> dict[str, str]:
    """Markdown by the name of its section, of the parts that were measured."""
    makers = {"join": _join, "groups": _groups, "add": _add, "warm": _warm}
    return {f"scale-{part}": make(result[part]) for part, make in makers.items() if part in result}


def _join(found: Result) -> str:
    header = ["64-bit hashes", "in", "search, wall s", "CPU s", "peak MB", "pairs", "planted found"]
    rows = [
        [
            count(r["n"]),
            r["backend"],
            number(r["wall_s"]["candidates"], 2),
            number(r["cpu_s"]["candidates"], 2),
            number(r["peak_mb"], 0),
            count(r["n_pairs"]),
            number(r["planted_recall"], 4),
        ]
        for r in found["rows"]
    ]
    return table(header, rows) + _growth(found)


def _groups(found: Result) -> str:
    stages = ("pack", "hash candidates", "check groups", "explain")
    header = [
        "images",
        *(f"{s}, s" for s in stages),
        "all, s",
        "CPU s",
        "peak MB",
        "scored pairs",
        "planted found",
    ]
    rows = [
        [
            count(r["n"]),
            *(number(r["wall_s"].get(s, 0.0)) for s in stages),
            number(sum(r["wall_s"].values())),
            number(sum(r["cpu_s"].values())),
            number(r["peak_mb"], 0),
            count(r["n_scored"]),
            number(r["planted_recall"], 4),
        ]
        for r in found["rows"]
    ]
    return table(header, rows) + _growth(found)


def _add(found: Result) -> str:
    header = ["known images", "new", "wall s", "CPU s", "pairs", "planted found"]
    rows = [
        [
            count(r["n"]),
            count(r["n_new"]),
            number(sum(r["wall_s"].values()), 2),
            number(sum(r["cpu_s"].values()), 2),
            count(r["n_pairs"]),
            number(r["planted_recall"], 4),
        ]
        for r in found["rows"]
    ]
    return table(header, rows)


def _warm(found: Result) -> str:
    reading = ("scan", "read")
    header = [
        "files",
        "read",
        "decoded",
        "scan to features, ms a file",
        "whole run, ms a file",
        "CPU ms",
        "peak MB",
    ]
    rows = []
    for r in found["rows"]:
        ms = 1000 / r["n"]
        to_features = sum(r["wall_s"][stage] for stage in reading)
        rows.append(
            [
                count(r["n"]),
                count(r["n_read"]),
                count(r["n_decoded"]),
                number(ms * to_features, 3),
                number(ms * r["wall_s"]["process"], 3),
                number(ms * r["cpu_s"]["process"], 3),
                number(r["peak_mb"], 0),
            ]
        )
    return table(header, rows) + _growth(found)


def _growth(found: Result) -> str:
    notes = [
        f"from {count(g['from'])} to {count(g['to'])}"
        + (f" in {g['backend']}" if g["backend"] else "")
        + f" as n^{g['exponent']:.2f}"
        for g in found["growth"]
    ]
    return f"\n\nCPU time grows {', '.join(notes)}." if notes else ""
