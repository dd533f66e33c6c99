#!/usr/bin/env python3
"""What a run costs, as multiples of decoding the pictures, beside other tools.

    python benchmarks/speed.py --data DATA --eval EVAL --work FOLDER [--peers-python PYTHON] [--parts runs]

Every program is a whole process, start-up included, measured again in each of several interleaved rounds.
Ratios are to the decode floor of the same round (see `decode_floor`). A run that was stopped goes on with the
round that it was in: what stands in one round was measured in one go, for a machine's speed differs from hour
to hour. All of it is measured again when cvsim's code changes. Writes ``results/speed.json`` and tables of
README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fingerprint import code_fingerprint
from labelled_sets import copy_set
from parts import names, run_parts
from processes import Cost, measure
from speed_sets import (
    blank_set,
    camera_set,
    identical_set,
    mixed_set,
    same_pixels_set,
    trailed_set,
)
from speed_tables import EFFORTS, write_tables

# This process imports nothing large: a child's peak memory counts from that of its parent.

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "speed.json"
SETS = ("camera", "trailed", "copies")
PARTS = ("runs", "memory", "degenerate", "start")
FLOOR = "decode floor"
COMPILE = "import compileall, os, cvsim; compileall.compile_dir(os.path.dirname(cvsim.__file__), quiet=1)"
"""What an installer does for the peers: an editable install may never have been compiled to byte code."""
SPEED_PEERS = (
    "imagehash phash",
    "imagededup PHash",
    "pdqhash",
    "perception PHash 16 isometric",
    "image-match",
    "czkawka",
)
START_ROUNDS = 15
TIMEOUT_S = 900.0


@dataclass(frozen=True)
class Program:
    """Something that is measured.

    Attributes
    ----------
    name : str
    version : str
        Results of another version are measured anew.
    command : callable
        Folder to command line.
    prepare : callable
        Called with the folder before each run.
    """

    name: str
    version: str
    command: Callable[[Path], Sequence[str]]
    prepare: Callable[[Path], None] = lambda folder: None


def main() -> None:
    args = parse_args()
    for python in filter(None, (sys.executable, args.plain_python)):
        subprocess.run([python, "-c", COMPILE], check=True)
    bench = Bench(args)
    parts: dict[str, Callable[[], Any]] = {
        "runs": bench.runs,
        "memory": bench.memory,
        "degenerate": bench.degenerate,
        "start": bench.start,
    }
    result = json.loads(args.json.read_text(encoding="utf-8")) if args.json.exists() else {}
    result["machine"], result["code"] = machine(), code_fingerprint()
    run_parts(parts, args.parts, result, args.json)
    if args.readme:
        write_tables(result, args.readme)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folders of photographs")
    parser.add_argument("--eval", type=Path, help="maker of copy sets")
    parser.add_argument("--work", type=Path, required=True, help="sets and measurements are kept here")
    parser.add_argument("--parts", type=names, default=PARTS, metavar=",".join(PARTS))
    parser.add_argument("--sets", type=names, default=SETS, metavar=",".join(SETS))
    parser.add_argument("--efforts", type=names, default=EFFORTS, metavar=",".join(EFFORTS))
    parser.add_argument("--peers", type=names, default=SPEED_PEERS, metavar="NAME,...", help="only these")
    parser.add_argument("--peers-python", default=sys.executable, metavar="PYTHON", help="holds the peers")
    parser.add_argument("--plain-python", metavar="PYTHON", help="holds cvsim's dependencies and no extra")
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    parser.add_argument("--peer-rounds", type=int, metavar="N", help="rounds that peers take part in (all)")
    parser.add_argument("--camera-files", type=int, default=250, metavar="N")
    parser.add_argument("--memory-files", type=numbers, default=(2500, 10000), metavar="N,N")
    parser.add_argument("--degenerate-files", type=int, default=5000, metavar="N")
    parser.add_argument("--json", type=Path, default=RESULTS, metavar="FILE")
    parser.add_argument("--readme", type=Path, default=HERE / "README.md", metavar="FILE")
    parser.add_argument("--no-readme", dest="readme", action="store_const", const=None)
    args = parser.parse_args()
    if unknown := set(args.parts) - set(PARTS):
        parser.error(f"unknown part {min(unknown)!r}; known: {', '.join(PARTS)}")
    return args


def numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(",")))


def machine() -> dict[str, Any]:
    return {
        "cpu": platform.machine(),
        "n_cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
    }


class Records:
    """Measurements on the way, one JSON line each, so that a run can be stopped at any moment."""

    def __init__(self, file: Path) -> None:
        self._file = file
        file.parent.mkdir(parents=True, exist_ok=True)
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        self._found = {tuple(key): cost for key, cost in map(json.loads, filter(_is_whole, lines))}

    def knows(self, program: Program, folder: Path, turn: int) -> bool:
        """Whether a run was made."""
        return (str(folder), program.name, program.version, "", turn) in self._found

    def measured(
        self, program: Program, folder: Path, turn: int, label: str = "", *, anew: bool = False
    ) -> dict[str, float]:
        """The cost of a run that was made, or is made now."""
        key = (str(folder), program.name, program.version, label, turn)
        if anew or key not in self._found:
            program.prepare(folder)
            cost = _cost(measure(program.command(folder), timeout_s=TIMEOUT_S), program)
            self._found[key] = cost
            with self._file.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps([key, cost]) + "\n")
            said = f"{folder.name} {program.name} {turn}: {cost['wall_s']:.2f} s, CPU {cost['cpu_s']:.2f} s"
            print(f"{said}, {cost['peak_mb']:.0f} MB", file=sys.stderr)
        return self._found[key]


def _is_whole(line: str) -> bool:
    return line.endswith("]")


def _cost(cost: Cost, program: Program) -> dict[str, float]:
    row = {"wall_s": cost.wall_s, "cpu_s": cost.cpu_s, "peak_mb": cost.peak_mb}
    if program.name == FLOOR:
        # Decoding alone: what the floor's own start-up costs is nobody's debt.
        decoding = json.loads(cost.stdout)
        row |= {"process_cpu_s": cost.cpu_s, "wall_s": decoding["wall_s"], "cpu_s": decoding["cpu_s"]}
    return row


class Bench:
    """The parts of the benchmark."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args
        self._work: Path = args.work
        self._sets = args.work / "sets"
        self._records = Records(args.work / "speed.jsonl")
        self._copies: Path = copy_set(args.eval, self._sets).folder

    def runs(self) -> dict[str, Any]:
        """By set: every program over several rounds, and what cvsim counted."""
        folders = {"camera": self._camera, "trailed": self._trailed, "copies": lambda: self._copies}
        result: dict[str, Any] = {}
        for name in self._args.sets:
            folder = folders[name]()
            n_files, n_bytes = _read_all(folder)
            rounds = self._rounds(folder)
            result[name] = {
                "n_files": n_files,
                "n_bytes": n_bytes,
                "programs": summaries(rounds, n_files),
                "stats": {effort: self._stats(folder, effort) for effort in self._args.efforts},
            }
        return result

    def _camera(self) -> Path:
        return camera_set(self._args.data, self._sets, self._args.camera_files)

    def _trailed(self) -> Path:
        return trailed_set(self._args.data, self._sets, self._args.camera_files)

    def _rounds(self, folder: Path) -> list[dict[str, dict[str, float]]]:
        """Costs by program, round after round; each round begins with another program."""
        own, peers = list(self._own_programs()), list(self._peer_programs())
        n_peer_rounds = self._args.rounds if self._args.peer_rounds is None else self._args.peer_rounds
        rounds = []
        for turn in range(self._args.rounds):
            # A warm run follows the cold one that filled its cache, so these move as one.
            programs = own + (peers if turn < n_peer_rounds else [])
            start = turn * 3 % len(programs)
            anew = not all(self._records.knows(program, folder, turn) for program in own)
            costs = {}
            for program in programs[start:] + programs[:start]:
                if cost := self._cost(program, program in peers, folder, turn, anew):
                    costs[program.name] = cost
            rounds.append(costs)
        return rounds

    def _cost(
        self, program: Program, is_peer: bool, folder: Path, turn: int, anew: bool
    ) -> dict[str, float] | None:
        try:
            return self._records.measured(program, folder, turn, anew=anew)
        except RuntimeError as exc:
            if not is_peer:
                raise
            print(f"{program.name}: left out: {exc}", file=sys.stderr)
            return None

    def _own_programs(self) -> Iterator[Program]:
        floor = [sys.executable, str(HERE / "decode_floor.py")]
        yield Program(FLOOR, code_fingerprint(), lambda folder: [*floor, str(folder)])
        for effort in self._args.efforts:
            yield self._cvsim(effort, sys.executable)
            yield self._cvsim(effort, sys.executable, is_warm=True)
        if self._args.plain_python:
            for effort in self._args.efforts:
                yield self._cvsim(effort, self._args.plain_python, suffix=", plain install")

    def _cvsim(self, effort: str, python: str, *, is_warm: bool = False, suffix: str = "") -> Program:
        def command(folder: Path) -> list[str]:
            cache = str(self._cache(folder, effort, suffix))
            return [
                python,
                "-m",
                "cvsim",
                "dedupe",
                str(folder),
                "--effort",
                effort,
                "--json",
                "--cache",
                cache,
            ]

        def prepare(folder: Path) -> None:
            cache = self._cache(folder, effort, suffix)
            cache.parent.mkdir(parents=True, exist_ok=True)
            if not is_warm:
                for ending in ("", "-wal", "-shm"):
                    Path(f"{cache}{ending}").unlink(missing_ok=True)
            elif not cache.exists():
                measure(command(folder))

        name = f"cvsim {effort}, {'warm' if is_warm else 'cold'}{suffix}"
        return Program(name, code_fingerprint(), command, prepare)

    def _cache(self, folder: Path, effort: str, suffix: str = "") -> Path:
        name = "-".join([folder.parent.name, folder.name, effort, *suffix.replace(",", "").split()])
        return self._work / "caches" / code_fingerprint() / f"{name}.sqlite"

    def _peer_programs(self) -> Iterator[Program]:
        python, adapters = self._args.peers_python, str(HERE / "peers.py")
        known = json.loads(measure([python, adapters, "list"]).stdout)
        for name in self._args.peers:
            entry = known[name]
            if "absent" in entry:
                print(f"{name}: absent ({entry['absent']})", file=sys.stderr)
                continue
            yield Program(name, entry["version"], _peer_command(python, adapters, name))

    def _stats(self, folder: Path, effort: str) -> dict[str, Any]:
        """What cvsim counts in a cold and in a warm run."""
        program = self._cvsim(effort, sys.executable, suffix=" stats")
        program.prepare(folder)
        cache = str(self._cache(folder, effort, " stats"))
        command = [
            sys.executable,
            str(HERE / "run_stats.py"),
            str(folder),
            "--effort",
            effort,
            "--cache",
            cache,
        ]
        return {state: json.loads(measure(command).stdout) for state in ("cold", "warm")}

    def memory(self) -> list[dict[str, Any]]:
        """Peak memory by number of pictures, large ones among them."""
        rows = []
        for n in self._args.memory_files:
            folder = mixed_set(self._args.data, self._copies, self._sets, n)
            for effort in self._args.efforts[:2]:
                cost = self._records.measured(self._cvsim(effort, sys.executable), folder, 0, "memory")
                rows.append({"effort": effort, "n_files": n, **cost})
        return rows

    def degenerate(self) -> list[dict[str, Any]]:
        """As many files as can be alike beside as many others."""
        n, data = self._args.degenerate_files, self._args.data
        folders = {
            "different pictures": lambda: mixed_set(data, self._copies, self._sets, n),
            "identical files": lambda: identical_set(data, self._sets, n),
            "one picture, other bytes": lambda: same_pixels_set(data, self._sets, n),
            "blank pictures": lambda: blank_set(self._sets, n),
        }
        rows = []
        for name, make in folders.items():
            folder = make()
            for effort in self._args.efforts[:2]:
                cost = self._records.measured(self._cvsim(effort, sys.executable), folder, 0, "degenerate")
                rows.append({"set": name, "effort": effort, "n_files": n, **cost})
        return rows

    def start(self) -> dict[str, Any]:
        """Start-up of the command line beside that of Python."""
        commands = {"python": ["-c", "pass"], "cvsim --help": ["-m", "cvsim", "--help"]}
        walls: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(START_ROUNDS):
            for name, arguments in commands.items():
                walls[name].append(measure([sys.executable, *arguments]).wall_s)
        ratios = [a / b for a, b in zip(walls["cvsim --help"], walls["python"], strict=True)]
        return {"wall_s": {n: statistics.median(w) for n, w in walls.items()}, "ratio": spread(ratios)}


def _peer_command(python: str, adapters: str, name: str) -> Callable[[Path], Sequence[str]]:
    return lambda folder: [python, adapters, "dedupe", name, str(folder)]


def _read_all(folder: Path) -> tuple[int, int]:
    """Number and bytes of a folder's files, all read once: the disk is not what is measured."""
    sizes = [len(file.read_bytes()) for file in folder.iterdir()]
    return len(sizes), sum(sizes)


def summaries(rounds: Sequence[Mapping[str, Mapping[str, float]]], n_files: int) -> dict[str, Any]:
    """Medians and spreads over the rounds, by program."""
    result = {}
    for name in dict.fromkeys(name for found in rounds for name in found):
        pairs = [(found[name], found[FLOOR]) for found in rounds if name in found]
        walls = [cost["wall_s"] for cost, _ in pairs]
        result[name] = {
            "n_runs": len(pairs),
            "wall_s": statistics.median(walls),
            "cpu_s": statistics.median(cost["cpu_s"] for cost, _ in pairs),
            "peak_mb": max(cost["peak_mb"] for cost, _ in pairs),
            "images_per_s": n_files / statistics.median(walls),
            "cpu_ratio": spread([cost["cpu_s"] / floor["cpu_s"] for cost, floor in pairs]),
            "wall_ratio": spread([cost["wall_s"] / floor["wall_s"] for cost, floor in pairs]),
        }
    return result


def spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


if __name__ == "__main__":
    main()
