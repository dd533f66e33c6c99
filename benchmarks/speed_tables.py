"""The tables of README.md that `speed.py` writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tables import count, number, table, write_section

TITLES = {
    "camera": "Large camera photos",
    "trailed": "Large camera photos, each many times with other bytes behind its end",
    "copies": "Small pictures: the copy set",
}
EFFORTS = ("fast", "default", "thorough")
STAGES = ("scan", "read", "hash candidates", "word candidates", "check groups", "prove")
Result = Mapping[str, Any]


def write_tables(result: Result, readme: Path) -> None:
    """Put every table that the result has figures for in its place."""
    sections: dict[str, Callable[[Any], str]] = {
        "runs": runs_section,
        "memory": memory_table,
        "degenerate": degenerate_table,
        "start": start_line,
    }
    for part, make in sections.items():
        if part in result:
            write_section("speed" if part == "runs" else f"speed-{part}", make(result[part]), readme)


def runs_section(sets: Result) -> str:
    parts = []
    for name, found in sets.items():
        title = f"{TITLES[name]}: {found['n_files']:,} files, {found['n_bytes'] / 1e6:,.0f} MB"
        parts += [f"### {title}", _programs(found["programs"]), _stages(found)]
    extras = {
        extra
        for found in sets.values()
        for stats in found["stats"].values()
        for extra in stats["cold"]["extras"]
    }
    parts.append(f"Extras installed: {', '.join(sorted(extras)) or 'none'}.")
    return "\n\n".join(parts)


def _programs(programs: Result) -> str:
    header = ["program", "CPU / floor", "wall / floor", "wall s", "CPU s", "images / s", "peak MB", "runs"]
    rows = [
        [
            name,
            _spread(found["cpu_ratio"]),
            _spread(found["wall_ratio"]),
            number(found["wall_s"], 2),
            number(found["cpu_s"], 2),
            number(found["images_per_s"], 0),
            number(found["peak_mb"], 0),
            found["n_runs"],
        ]
        for name, found in sorted(programs.items(), key=lambda item: item[1]["cpu_ratio"]["median"])
    ]
    return table(header, rows)


def _spread(found: Mapping[str, float]) -> str:
    return f"{found['median']:.2f} ({found['min']:.2f} to {found['max']:.2f})"


def _stages(found: Result) -> str:
    """Where the time of cvsim goes, in milliseconds a file."""
    header = ["ms a file", "decoded", "read", "MB read", "pairs verified", *STAGES]
    rows = []
    for effort in filter(found["stats"].get, EFFORTS):
        for state, run in found["stats"][effort].items():
            stats = run["stats"]
            seconds = [number(1000 * stats["seconds"].get(s, 0.0) / found["n_files"], 3) for s in STAGES]
            counted = [count(stats[key]) for key in ("n_decoded", "n_read")]
            read = [number(stats["bytes_read"] / 1e6, 0), count(stats["n_verified"])]
            rows.append([f"{effort}, {state}", *counted, *read, *seconds])
    return table(header, rows)


def memory_table(rows: list[Result]) -> str:
    header = ["effort", "files", "peak MB", "wall s", "CPU s"]
    cells = [[r["effort"], count(r["n_files"]), *_cost(r)] for r in rows]
    notes = []
    for effort in dict.fromkeys(r["effort"] for r in rows):
        own = sorted((r for r in rows if r["effort"] == effort), key=lambda r: r["n_files"])
        if len(own) > 1:
            growth = (
                (own[-1]["peak_mb"] - own[0]["peak_mb"]) * 2**20 / (own[-1]["n_files"] - own[0]["n_files"])
            )
            notes.append(f"{effort} {growth / 1000:,.1f} kB")
    note = f"\n\nGrowth of the peak for each further picture: {', '.join(notes)}." if notes else ""
    return table(header, cells) + note


def _cost(row: Result) -> list[str]:
    return [number(row["peak_mb"], 0), number(row["wall_s"]), number(row["cpu_s"])]


def degenerate_table(rows: list[Result]) -> str:
    header = ["files", "effort", "peak MB", "wall s", "CPU s"]
    return table(header, [[f"{r['n_files']:,} {r['set']}", r["effort"], *_cost(r)] for r in rows])


def start_line(found: Result) -> str:
    walls = found["wall_s"]
    return (
        f"`cvsim --help` takes {_spread(found['ratio'])} times what a bare Python takes to start: "
        f"{1000 * walls['cvsim --help']:.0f} ms against {1000 * walls['python']:.0f} ms."
    )
