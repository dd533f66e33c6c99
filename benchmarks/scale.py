#!/usr/bin/env python3
"""How time and memory grow with the number of images, on descriptors that no camera made.

    python benchmarks/scale.py                       # all parts; about 20 minutes on two quiet cores
    python benchmarks/scale.py --parts join,warm     # some; the last figures of the others stay
    python benchmarks/scale.py --table               # print the tables of what was measured

- join: all pairs of 64-bit hashes within 10 bits, in machine code and without; both must find the same.
- groups: candidates, scores and groups of images that have a hash in any of eight orientations.
- add: the copies of 1,000 new images among those that are known.
- warm: `cvsim dedupe --effort fast --json` over files of which the cache knows everything.

Each size runs in a process of its own. Every collection holds planted groups, and what share of their pairs
is found is told. Writes ``results/scale.json`` and the tables of README.md.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import os
import platform
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

from fingerprint import code_fingerprint
from processes import measure
from scale_tables import sections, write_tables

# This process imports nothing large: a child's peak memory counts from that of its parent.

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "scale.json"
PARTS = ("join", "groups", "add", "warm")
BACKENDS = ("numba", "numpy")
RADIUS_BITS = 10


def main() -> None:
    args = parse_args()
    if args.child:
        print(json.dumps(importlib.import_module("scale_parts").run(json.loads(args.child))))
        return
    result = json.loads(args.json.read_text(encoding="utf-8")) if args.json.exists() else {}
    if args.table:
        print("\n\n".join(sections(result).values()))
        return
    result["machine"], result["code"] = machine(), code_fingerprint()
    for part in args.parts:
        rows = [measured(call) for call in calls(part, args)]
        check_backends_agree(rows)
        result[part] = {"rows": rows, "growth": growth(rows)}
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(result, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    if args.readme:
        write_tables(result, args.readme)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", type=numbers, default=[10_000, 100_000, 1_000_000], metavar="N,N,...")
    parser.add_argument("--warm-n", type=numbers, default=[10_000, 100_000], metavar="N,N,...")
    parser.add_argument("--parts", type=names, default=PARTS, metavar=",".join(PARTS))
    parser.add_argument("--backends", type=names, default=BACKENDS, metavar=",".join(BACKENDS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--table", action="store_true", help="measure nothing, print the tables")
    parser.add_argument("--json", type=Path, default=RESULTS, metavar="FILE")
    parser.add_argument("--readme", type=Path, default=HERE / "README.md", metavar="FILE")
    parser.add_argument("--no-readme", dest="readme", action="store_const", const=None)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if unknown := set(args.parts) - set(PARTS):
        parser.error(f"unknown part {min(unknown)!r}; known: {', '.join(PARTS)}")
    return args


def names(text: str) -> list[str]:
    return text.split(",")


def numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def calls(part: str, args: argparse.Namespace) -> list[dict[str, Any]]:
    """What the processes of a part are asked to do."""
    sizes = args.warm_n if part == "warm" else args.n
    common = [{"part": part, "n": n, "seed": args.seed} for n in sizes]
    if part != "join":
        return common
    return [{**c, "backend": b, "radius_bits": RADIUS_BITS} for b in args.backends for c in common]


def measured(call: dict[str, Any]) -> dict[str, Any]:
    cost = measure([sys.executable, str(HERE / "scale.py"), "--child", json.dumps(call)])
    row = {**call, **json.loads(cost.stdout)}
    print(f"{call}: {row['wall_s']}, CPU {row['cpu_s']}, {row['peak_mb']} MB", file=sys.stderr)
    return row


def check_backends_agree(rows: list[dict[str, Any]]) -> None:
    for n in {row["n"] for row in rows}:
        if len({row.get("pairs_checksum") for row in rows if row["n"] == n}) > 1:
            raise SystemExit(f"the backends found different pairs among {n} hashes")


def growth(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Exponent e of CPU time ~ n**e between each two sizes, without what making the collection takes."""
    exponents = []
    for backend in dict.fromkeys(row.get("backend") for row in rows):
        series = sorted((row for row in rows if row.get("backend") == backend), key=lambda row: row["n"])
        for small, large in pairwise(series):
            ratio = max(work_s(large), 1e-3) / max(work_s(small), 1e-3)
            exponent = round(math.log(ratio) / math.log(large["n"] / small["n"]), 2)
            exponents.append({"backend": backend, "from": small["n"], "to": large["n"], "exponent": exponent})
    return exponents


def work_s(row: dict[str, Any]) -> float:
    return sum(row["cpu_s"].values())


def machine() -> dict[str, Any]:
    n_cores = len(os.sched_getaffinity(0))
    return {"cpu": platform.machine(), "n_cores": n_cores, "python": platform.python_version()}


if __name__ == "__main__":
    main()
