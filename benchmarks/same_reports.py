"""Whether two versions of cvsim write the same reports, plans, tables and labels, byte for byte.

Run before and after a change that is to change nothing that a person sees::

    python benchmarks/same_reports.py keep --tree OLD --cases CASES.json --out before
    python benchmarks/same_reports.py keep --tree NEW --cases CASES.json --out after
    python benchmarks/same_reports.py compare before after --renamed old_name=new_name

    python benchmarks/same_reports.py time OLD NEW --cases CASES.json --rounds 5

``time`` runs both trees by turns and prints the CPU seconds of each as medians with their range, and a ratio.

``CASES.json`` is a list of ``{"name", "arguments", "writes"}``: arguments of cvsim, in which ``{out}`` is the
folder of the case, and the files that it writes there. ``make-cases`` writes one for the usual data.

Only two things may differ: the version, and settings that were renamed (``--renamed``), added (``--added``)
or say where the run wrote.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any


def usual_cases(samples: Path, copies: Path, data: Path) -> list[dict[str, Any]]:
    """A sample folder, copies with known truth, photographs beside a camera's, and two shops' products."""

    def dedupe(name: str, *paths: str | Path) -> dict[str, Any]:
        files = ("--csv", "{out}/report.csv", "--plan", "{out}/plan.json", "--html", "{out}/report.html")
        arguments = ["dedupe", *map(str, paths), "--no-cache", "--json", *files]
        return {"name": name, "arguments": arguments, "writes": ["report.csv", "plan.json", "report.html"]}

    def cluster(name: str, folder: Path) -> dict[str, Any]:
        arguments = ["cluster", str(folder), "--no-cache", "-o", "{out}/labels.csv"]
        return {"name": name, "arguments": arguments, "writes": ["labels.csv"]}

    def timed(name: str, *paths: str | Path) -> dict[str, Any]:
        return {"name": name, "arguments": ["dedupe", *map(str, paths), "--no-cache", "--json"], "writes": []}

    return [
        dedupe("samples", samples),
        dedupe("copies-fast", copies, "--effort", "fast"),
        dedupe("copies-default", copies),
        dedupe("photos-camera", data / "photos", "--reference", data / "camera"),
        cluster("cartons", data / "products-cartons"),
        cluster("catalogue", data / "products-catalogue"),
        timed("time-copies-fast", copies, "--effort", "fast"),
        timed("time-copies-default", copies),
        timed("time-camera-fast", data / "camera", "--effort", "fast"),
        timed("time-camera-default", data / "camera"),
    ]


def keep(tree: Path, cases: Sequence[Mapping[str, Any]], out: Path, python: str) -> None:
    """Run each case with the code of a tree and keep what it printed and wrote."""
    environment, out = {**os.environ, "PYTHONPATH": str(tree)}, out.absolute()
    for case in cases:
        folder = out / case["name"]
        folder.mkdir(parents=True, exist_ok=True)
        arguments = [text.replace("{out}", str(folder)) for text in case["arguments"]]
        command = [python, "-m", "cvsim", *arguments, "-q"]
        # Python looks for modules where it is started before it looks anywhere else.
        done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, check=False)
        if done.returncode:
            sys.exit(f"{case['name']}: exit {done.returncode}: {done.stderr.decode(errors='replace')[-500:]}")
        (folder / "stdout").write_bytes(done.stdout)
        print(f"{case['name']}: {len(done.stdout):,} bytes")


def cpu_seconds(tree: Path, case: Mapping[str, Any], python: str) -> float:
    """CPU seconds of one run of a case, children included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as out, contextlib.redirect_stdout(io.StringIO()):
        keep(tree, [case], Path(out), python)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def compare_times(
    trees: tuple[Path, Path], cases: Sequence[Mapping[str, Any]], rounds: int, python: str
) -> None:
    """Run each case with both trees by turns; print the seconds of each and the ratio of the medians."""
    for case in cases:
        seconds: tuple[list[float], list[float]] = ([], [])
        for k in range(rounds):
            for side in (0, 1) if k % 2 == 0 else (1, 0):
                seconds[side].append(cpu_seconds(trees[side], case, python))
        words = [f"{median(found):.2f} ({min(found):.2f} to {max(found):.2f})" for found in seconds]
        ratio = median(seconds[1]) / median(seconds[0])
        print(f"{case['name']}: {words[0]} s, then {words[1]} s: {ratio:.3f} times", flush=True)


def normal(content: bytes, folder: Path, renamed: Mapping[str, str], added: Sequence[str]) -> bytes:
    """What a file says, without what may differ."""
    text = content.replace(str(folder).encode(), b"{out}")
    if not text.lstrip().startswith(b"{"):
        return text
    document = json.loads(text)
    document.pop("version", None)
    if isinstance(settings := document.get("settings"), dict):
        document["settings"] = {
            renamed.get(name, name): value for name, value in sorted(settings.items()) if name not in added
        }
    return json.dumps(document, indent=1, sort_keys=True).encode()


def differences(
    before: Path, after: Path, renamed: Mapping[str, str], added: Sequence[str]
) -> list[tuple[str, str]]:
    """Each file that is not the same, and the first line that differs."""
    found = []
    for file in sorted(f for f in before.rglob("*") if f.is_file()):
        name = str(file.relative_to(before))
        other = after / name
        if not other.exists():
            found.append((name, "is missing"))
            continue
        a = normal(file.read_bytes(), file.parent, renamed, added)
        b = normal(other.read_bytes(), other.parent, renamed, added)
        if a != b:
            found.append((name, first_difference(a, b)))
    return found


def first_difference(a: bytes, b: bytes) -> str:
    """The first pair of lines that differ."""
    lines_a, lines_b = a.splitlines(), b.splitlines()
    for number, (line_a, line_b) in enumerate(zip(lines_a, lines_b, strict=False), 1):
        if line_a != line_b:
            return f"line {number}: {line_a[:200]!r} became {line_b[:200]!r}"
    return f"{len(lines_a)} lines became {len(lines_b)}"


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    making = verbs.add_parser("make-cases")
    for name in ("samples", "copies", "data", "cases"):
        making.add_argument(f"--{name}", type=Path, required=True)
    keeping = verbs.add_parser("keep")
    for name in ("tree", "cases", "out"):
        keeping.add_argument(f"--{name}", type=Path, required=True)
    keeping.add_argument("--python", default=sys.executable)
    timing = verbs.add_parser("time")
    timing.add_argument("trees", type=Path, nargs=2)
    timing.add_argument("--cases", type=Path, required=True)
    timing.add_argument("--only", nargs="+", help="names of cases")
    timing.add_argument("--rounds", type=int, default=5)
    timing.add_argument("--python", default=sys.executable)
    comparing = verbs.add_parser("compare")
    comparing.add_argument("before", type=Path)
    comparing.add_argument("after", type=Path)
    comparing.add_argument("--renamed", action="append", default=[], metavar="OLD=NEW")
    comparing.add_argument("--added", action="append", default=[], metavar="NAME")
    return parser.parse_args(arguments)


def main() -> None:
    args = parsed()
    if args.verb == "make-cases":
        args.cases.write_text(json.dumps(usual_cases(args.samples, args.copies, args.data), indent=1) + "\n")
    elif args.verb == "keep":
        keep(args.tree, json.loads(args.cases.read_text()), args.out, args.python)
    elif args.verb == "time":
        cases = json.loads(args.cases.read_text())
        chosen = [case for case in cases if not args.only or case["name"] in args.only]
        compare_times((args.trees[0], args.trees[1]), chosen, args.rounds, args.python)
    else:
        renamed = dict(text.split("=", 1) for text in args.renamed)
        found = differences(args.before, args.after, renamed, args.added)
        for name, what in found:
            print(f"{name}: {what}")
        n_files = sum(1 for f in args.before.rglob("*") if f.is_file())
        print(f"{n_files - len(found)} of {n_files} files are the same")
        sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
