"""How time and memory grow with the number of images: candidates and grouping on synthetic hashes.

Each collection holds planted groups: copies of one random 64-bit hash, a few bits flipped, so that every
two of a group are within the radius. Each size runs in a process of its own, start-up and imports
included, with and without machine code, and both must find the same pairs.

    python benchmarks/scale.py --n 10000,100000,1000000 --json benchmarks/results/scale.json
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# This process imports nothing large: a child's peak memory counts from that of its parent.

GROUP_SIZES = (2, 3, 4, 5)
SHARE_OF_GROUPS = 0.1
"""Groups for each image of the collection: about a third of all images have a copy."""


def main() -> None:
    args = parse_args()
    if args.child:
        print(json.dumps(run_collection(args.n[0], args.backends[0], args.radius, args.seed)))
        return
    runs = [
        run_in_own_process(n, backend, args.radius, args.seed) for n in args.n for backend in args.backends
    ]
    check_backends_agree(runs)
    result = {"machine": machine(), "radius_bits": args.radius, "runs": runs, "growth": growth(runs)}
    print_table(result)
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--n", type=numbers, default=[10_000, 100_000, 1_000_000], metavar="N,N,...")
    parser.add_argument("--backends", type=names, default=["numba", "numpy"], metavar="NAME,...")
    parser.add_argument("--radius", type=int, default=10, metavar="BITS")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def names(text: str) -> list[str]:
    return text.split(",")


def run_in_own_process(n: int, backend: str, radius: int, seed: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--child", f"--n={n}", f"--backends={backend}"]
    start = time.perf_counter()
    process = subprocess.run(
        [*command, f"--radius={radius}", f"--seed={seed}"], stdout=subprocess.PIPE, check=True, text=True
    )
    run: dict[str, Any] = json.loads(process.stdout)
    run["process_s"] = round(time.perf_counter() - start, 3)
    return run


def run_collection(n: int, backend: str, radius: int, seed: int) -> dict[str, Any]:
    """All stages on one collection, in this process."""
    clock = Stages()
    hashes, true = clock.time("make", lambda: make_collection(n, radius, seed))
    join = clock.time("candidates", lambda: find_candidates(hashes, radius, backend))
    a, b, score = clock.time("scoring", lambda: score_pairs(hashes, join))
    grouping = clock.time("grouping", lambda: group(n, a, b, score, radius))
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "n": n,
        "backend": backend,
        "seconds": clock.seconds,
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 3),
        "peak_mb": round(usage.ru_maxrss / 1024),
        "n_pairs": len(a),
        "pairs_checksum": checksum(a, b),
        "n_groups": int((grouping.sizes > 1).sum()),
        "planted_recall": planted_recall(a, b, true),
        "agreement": agreement(grouping, true),
    }


class Stages:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def time(self, stage: str, work: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        result = work()
        self.seconds[stage] = round(time.perf_counter() - start, 3)
        return result


def make_collection(n: int, radius: int, seed: int) -> tuple[Any, Any]:
    """Hashes, (n,) uint64, in random order, and the number of the planted group of each."""
    import numpy as np

    rng = np.random.default_rng(seed)
    sizes = rng.choice(GROUP_SIZES, size=int(n * SHARE_OF_GROUPS))
    sizes = np.concatenate([sizes, np.ones(n - sizes.sum(), np.int64)])
    true = np.repeat(np.arange(len(sizes)), sizes)
    hashes = rng.integers(0, 2**64, size=len(sizes), dtype=np.uint64)[true]
    n_flips = rng.integers(0, radius // 2 + 1, size=n)
    for flip in range(radius // 2):
        bit = np.uint64(1) << rng.integers(0, 64, size=n, dtype=np.uint64)
        hashes ^= np.where(flip < n_flips, bit, np.uint64(0))
    order = rng.permutation(n)
    return hashes[order], true[order]


def find_candidates(hashes: Any, radius: int, backend: str) -> Any:
    from cvsim.candidates import hamming

    return hamming.join_pairs_within(hashes, radius, backend=backend)


def score_pairs(hashes: Any, join: Any) -> tuple[Any, Any, Any]:
    """The pairs, those of equal hashes as stars, and their similarity as a score."""
    import numpy as np

    star_a, star_b = join.stars()
    a, b = np.concatenate([join.a, star_a]), np.concatenate([join.b, star_b])
    return a, b, 1 - np.bitwise_count(hashes[a] ^ hashes[b]) / 64


def group(n: int, a: Any, b: Any, score: Any, radius: int) -> Any:
    from cvsim.clustering import connected_components

    return connected_components(n, a, b, score, 1 - radius / 64)


def checksum(a: Any, b: Any) -> str:
    import hashlib

    return hashlib.sha256(a.tobytes() + b.tobytes()).hexdigest()[:16]


def planted_recall(a: Any, b: Any, true: Any) -> float:
    """Share of the planted pairs that the candidates connect, directly or through an equal hash."""
    import numpy as np

    from cvsim.clustering import connected_components

    same = true[a] == true[b]
    found = connected_components(len(true), a[same], b[same], np.ones(int(same.sum())), 1.0)
    n_found = int((found.sizes * (found.sizes - 1) // 2).sum())
    sizes = np.bincount(true)
    return n_found / max(1, int((sizes * (sizes - 1) // 2).sum()))


def agreement(grouping: Any, true: Any) -> dict[str, float]:
    from cvsim.evaluation import evaluate

    figures = evaluate(grouping.labels, true).to_dict()
    return {name: round(figures[name], 6) for name in ("ari", "pair_precision", "pair_recall")}


def check_backends_agree(runs: list[dict[str, Any]]) -> None:
    for n in {run["n"] for run in runs}:
        if len({run["pairs_checksum"] for run in runs if run["n"] == n}) > 1:
            raise SystemExit(f"the backends found different pairs among {n} hashes")


def growth(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Exponent e of time ~ n**e between each two sizes, without what starting costs at any size."""
    exponents = []
    for backend in dict.fromkeys(run["backend"] for run in runs):
        series = sorted((run for run in runs if run["backend"] == backend), key=lambda run: run["n"])
        for small, large in itertools.pairwise(series):
            ratio = work_s(large) / max(work_s(small), 1e-3)
            exponent = math.log(ratio) / math.log(large["n"] / small["n"])
            exponents.append(
                {"backend": backend, "from": small["n"], "to": large["n"], "exponent": round(exponent, 2)}
            )
    return exponents


def work_s(run: dict[str, Any]) -> float:
    return sum(seconds for stage, seconds in run["seconds"].items() if stage != "make")


def machine() -> dict[str, Any]:
    return {"cpu": platform.machine(), "n_cores": os.cpu_count(), "python": platform.python_version()}


def print_table(result: dict[str, Any]) -> None:
    print(
        f"{'images':>9} {'backend':8} {'candidates':>10} {'scoring':>8} {'grouping':>8} {'process':>8} "
        f"{'cpu':>7} {'peak':>7} {'pairs':>9} {'recall':>7}"
    )
    for run in result["runs"]:
        seconds = run["seconds"]
        print(
            f"{run['n']:9} {run['backend']:8} {seconds['candidates']:9.2f}s {seconds['scoring']:7.2f}s "
            f"{seconds['grouping']:7.2f}s {run['process_s']:7.2f}s {run['cpu_s']:6.2f}s "
            f"{run['peak_mb']:4} MB {run['n_pairs']:9} {run['planted_recall']:7.4f}"
        )
    for item in result["growth"]:
        print(f"{item['backend']}: {item['from']} to {item['to']} images: time grows as n^{item['exponent']}")


if __name__ == "__main__":
    main()
