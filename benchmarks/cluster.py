#!/usr/bin/env python3
"""A run on worker processes of a Dask scheduler, of which one is killed, and whose driver is killed.

python benchmarks/cluster.py --eval EVAL --work WORK

Each run must give the report of a run without a cluster, and do nothing twice that was finished.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from labelled_sets import LabelledSet, copy_set
from tables import count, number, table, write_section

from cvsim.executors.worker_processes import WorkerProcesses
from cvsim.reading.extraction import DECODER
from cvsim.recipes.dedupe import dedupe
from cvsim.reports.json import to_json
from cvsim.settings import Settings
from cvsim.stores import open_store

N_PROCESSES = 3
RESULTS = Path(__file__).with_name("results")


class ActsAt:
    """`Progress` that does something once so many pictures are read."""

    def __init__(self, n: int, act: Callable[[], None]) -> None:
        self._n, self._act = n, act

    @contextmanager
    def task(self, description: str, total: int | None) -> Iterator[Callable[[int], None]]:
        done = 0

        def advance(n: int) -> None:
            nonlocal done
            done += n
            if description == "Reading pictures" and done == self._n:
                self._act()

        yield advance


def run(data: LabelledSet, settings: Settings, progress: ActsAt | None = None) -> dict[str, Any]:
    """A run, what it cost, and what it said."""
    n_before, started = n_stored(settings), time.perf_counter()
    result = dedupe([str(data.folder)], settings, progress=progress)
    document = json.loads(to_json(result))
    return {
        "wall_s": time.perf_counter() - started,
        "n_before": n_before,
        "n_decoded": result.stats["n_decoded"],
        "n_stored": n_stored(settings),
        "report": {name: document[name] for name in ("groups", "skipped", "counts")},
    }


def n_stored(settings: Settings) -> int:
    """Pictures of which everything is kept."""
    if not Path(settings.cache or "").exists():
        return 0
    with open_store(settings.cache or "", "cache") as store:
        return len(store.images(DECODER))


def killed_worker(data: LabelledSet, settings: Settings) -> dict[str, Any]:
    """One of the workers is killed when half of the pictures are read."""
    cluster = WorkerProcesses(N_PROCESSES)
    try:
        half = len(data.files) // 2
        kill = ActsAt(half, lambda: os.kill(cluster.pids[0], signal.SIGKILL))
        return run(data, with_scheduler(settings, cluster), kill)
    finally:
        cluster.close()


def killed_driver(data: LabelledSet, settings: Settings) -> dict[str, Any]:
    """The driver is killed when half of the pictures are kept; another goes on."""
    cluster = WorkerProcesses(N_PROCESSES)
    command = [sys.executable, "-m", "cvsim", "dedupe", str(data.folder), "--effort", settings.effort]
    command += ["--cache", settings.cache or "", "--scheduler", cluster.address, "--json"]
    try:
        driver = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while n_stored(settings) < len(data.files) // 2:
            if driver.poll() is not None:
                raise SystemExit("the driver ended before it could be killed")
            time.sleep(0.2)
        driver.kill()
        driver.wait()
        return run(data, with_scheduler(settings, cluster))
    finally:
        cluster.close()


def with_scheduler(settings: Settings, cluster: WorkerProcesses) -> Settings:
    return Settings(effort=settings.effort, cache=settings.cache, scheduler=cluster.address)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--eval", type=Path, help="folder of the maker of altered copies")
    parser.add_argument("--work", type=Path, required=True, help="sets and caches are kept here")
    parser.add_argument("--effort", default="default")
    parser.add_argument("--no-readme", action="store_true", help="leave the tables of README.md as they are")
    args = parser.parse_args()
    data = copy_set(args.eval, args.work / "sets", "b")
    plain = run(data, Settings(effort=args.effort, cache=cache_of(args.work, "plain")))
    runs = {"without a cluster": plain}
    ways = {"a worker killed": killed_worker, "the driver killed, and started anew": killed_driver}
    for name, way in ways.items():
        runs[name] = way(data, Settings(effort=args.effort, cache=cache_of(args.work, way.__name__)))
    expected = json.dumps(plain["report"])
    rows = []
    for name, done in runs.items():
        done["is_same"] = json.dumps(done.pop("report")) == expected
        rows.append(
            (
                name,
                count(done["n_before"]),
                count(done["n_decoded"]),
                count(done["n_before"] + done["n_decoded"] - done["n_stored"]),
                "yes" if done["is_same"] else "NO",
                number(done["wall_s"]),
            )
        )
    header = ("run", "kept before", "decoded", "of these twice", "the same report", "wall s")
    text = (
        table(header, rows) + f"\n\n{len(data.files):,} files, effort {args.effort}, {N_PROCESSES} workers."
    )
    print(text)
    if not args.no_readme:
        RESULTS.joinpath("cluster.json").write_text(json.dumps(runs, indent=1) + "\n")
        write_section("cluster", text)


def cache_of(work: Path, name: str) -> str:
    """An empty cache."""
    folder = work / "caches"
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.glob(f"cluster-{name}.sqlite*"):
        file.unlink()
    return str(folder / f"cluster-{name}.sqlite")


if __name__ == "__main__":
    main()
