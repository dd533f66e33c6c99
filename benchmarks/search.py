#!/usr/bin/env python3
"""Searching an index: hits and latency on copies of photographs, and a store of a million records.

    python benchmarks/search.py hits --data DATA --copies SET --store LOCATION [--n QUERIES] --json FILE
    python benchmarks/search.py scale --n 1000000 --store LOCATION --json FILE [--engine NAME] [--pid PROCESS]
    python benchmarks/search.py tables

`hits` indexes the folders of DATA and searches for the altered copies of SET (images/, truth.csv with file,
group and kind, groups_src.csv with group and source). `scale` fills an index with synthetic keys, opens it
in a new process and searches it; `--pid` names the engine's process, whose memory is told. `tables` writes
what both left in results/ into README.md.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import operator
import resource
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import tables

RESULTS = Path(__file__).with_name("results")
FOLDERS = ("photos", "products-catalogue", "products-cartons", "distractors")
PASTED_WITHIN = 2
"""A pasted copy shows two photographs: its original may come second."""
N_WORDS, N_PROBES, N_DIMS = 64, 12_600, 128
"""Words a synthetic picture; words a query asks for, those of 300 keypoints and their near ones; vectors."""
BATCH = 10_000
N_QUERIES = 50
N_HITS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("part", choices=("hits", "scale", "query", "tables"))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--copies", type=Path)
    parser.add_argument("--store")
    parser.add_argument("--engine", help="what to call the store in the table")
    parser.add_argument("--pid", type=int, help="process of the engine")
    parser.add_argument("--n", type=int, default=1_000_000)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if args.part == "tables":
        write_tables()
        return
    if args.part == "query":
        print(json.dumps(query_scale(args.store, args.n)))
        return
    result = hits(args) if args.part == "hits" else scale(args)
    print(json.dumps(result, indent=1))
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


# --- hits -------------------------------------------------------------------------------------------------


def hits(args: argparse.Namespace) -> dict[str, Any]:
    import cvsim

    with cvsim.Index.open(args.store) as index:
        started = time.perf_counter()
        report = index.add([args.data / folder for folder in FOLDERS])
        indexed_s = time.perf_counter() - started
    queries = copies(args.copies)[: args.n]
    ranks: dict[str, list[int | None]] = defaultdict(list)
    seconds: list[float] = []
    cpu_before = time.process_time()
    misses, answers = [], []
    with cvsim.Index.open(args.store, create=False) as index:
        for file, source, kind in queries:
            started = time.perf_counter()
            answer = index.search(args.copies / "images" / file, k=N_HITS)
            seconds.append(time.perf_counter() - started)
            found = [Path(hit.path).name for hit in answer]
            answers.append(digest_of(answer))
            rank = found.index(source) + 1 if source in found else None
            ranks[kind].append(rank)
            if not is_hit(kind, rank):
                misses.append([file, kind, rank])
    return {
        "engine": args.engine or args.store.partition("://")[0],
        "n_indexed": report.n_images,
        "indexed_s": round(indexed_s, 1),
        "n_queries": len(queries),
        "hit_rate": share_of(ranks, list(ranks)),
        "kinds": {kind: share_of(ranks, [kind]) for kind in sorted(ranks)},
        "misses": misses,
        "answers": answers,
        "cpu_ms": round(1000 * (time.process_time() - cpu_before) / len(queries), 1),
        **latency(seconds),
    }


def digest_of(answer: list[Any]) -> str:
    """By which the answers of two engines are compared: what was found, in which order, how sure, and why."""
    told = [(hit.path, round(hit.score, 6), hit.profile, hit.relation) for hit in answer]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:12]


def copies(folder: Path) -> list[tuple[str, str, str]]:
    """File, original and kind of each altered copy, spread over the kinds."""
    with (folder / "groups_src.csv").open(newline="", encoding="utf-8") as stream:
        source = {row["group"]: Path(row["source"]).name for row in csv.DictReader(stream)}
    with (folder / "truth.csv").open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["group"] in source]
    altered = [row for row in rows if row["kind"] not in ("original", "distractor")]
    return [(row["file"], source[row["group"]], row["kind"]) for row in altered]


def is_hit(kind: str, rank: int | None) -> bool:
    return rank is not None and rank <= (PASTED_WITHIN if kind.startswith("frame") else 1)


def share_of(ranks: dict[str, list[int | None]], kinds: list[str]) -> float:
    found = [is_hit(kind, rank) for kind in kinds for rank in ranks[kind]]
    return round(sum(found) / len(found), 4)


def latency(seconds: list[float]) -> dict[str, float]:
    import numpy as np

    return {
        "first_ms": round(1000 * seconds[0], 1),
        "median_ms": round(1000 * float(np.median(seconds)), 1),
        "p99_ms": round(1000 * float(np.percentile(seconds[1:], 99)), 1),
    }


# --- scale ------------------------------------------------------------------------------------------------


def scale(args: argparse.Namespace) -> dict[str, Any]:
    started, wall = time.process_time(), time.perf_counter()
    fill(args.store, args.n)
    filled_s, filled_wall_s = time.process_time() - started, time.perf_counter() - wall
    command = [sys.executable, __file__, "query", "--store", args.store, "--n", str(args.n)]
    asked = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return {
        "engine": args.engine or args.store.partition("://")[0] if "://" in args.store else "SQLite",
        "n": args.n,
        "words": N_WORDS,
        "fill_cpu_s": round(filled_s, 1),
        "fill_s": round(filled_wall_s, 1),
        "size_mb": size_of(args.store) >> 20,
        **asked,
        **({"engine_mb": resident_mb(args.pid)} if args.pid else {}),
    }


def size_of(location: str) -> int:
    """Bytes on disk."""
    if "://" not in location:
        return sum(path.stat().st_size for path in Path(location).parent.glob(Path(location).name + "*"))
    from cvsim.stores import open_index

    with open_index(location, create=False) as store:
        return store.info().size_bytes


def resident_mb(pid: int) -> int:
    """Memory of a process now; 0 if it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
        return int(status.partition("VmRSS:")[2].split()[0]) >> 10
    except (OSError, IndexError):
        return 0


def fill(location: str, n: int) -> None:
    """Synthetic records: a file, an image, a hash, a vector and words for each."""

    from cvsim.stores import Extraction, ImageInfo, ImageKeys, KnownFile, open_index

    with open_index(location) as store:
        for start in range(0, n, BATCH):
            rng, hashes, words, vectors = synthetic(start)
            keys = {}
            for k, digest in enumerate(rng.bytes(32).hex() for _ in range(min(BATCH, n - start))):
                store.put(Extraction(digest, "decoder", ImageInfo(640, 480)))
                store.put_file(b"/photos/%d.jpg" % (start + k), KnownFile(1, 1, start + k, 1, digest))
                keys[digest] = ImageKeys({"h": hashes[k]}, {"w": words[k]}, {"v": vectors[k]})
            store.put_keys(keys)


def synthetic(start: int) -> tuple[Any, Any, Any, Any]:
    """The generator, hashes, words and vectors of one batch."""
    import numpy as np

    rng = np.random.default_rng(start)
    hashes = rng.integers(0, 2**64, (BATCH, 1), np.uint64)
    words = rng.integers(0, 1 << 21, (BATCH, N_WORDS), np.uint32)
    vectors = rng.normal(size=(BATCH, N_DIMS)).astype(np.float32)
    return rng, hashes, words, vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def nearest_vectors(n: int, asked: Any) -> list[set[str]]:
    """The digests of the ten nearest vectors of each query, all of them compared, in half precision."""
    import numpy as np

    digests: list[str] = []
    cosines = []
    for start in range(0, n, BATCH):
        rng, _, _, vectors = synthetic(start)
        digests += [rng.bytes(32).hex() for _ in range(min(BATCH, n - start))]
        half = vectors.astype(np.float16).astype(np.float32)[: n - start]
        cosines.append(asked @ (half / np.linalg.norm(half, axis=1, keepdims=True)).T)
    best = np.argsort(-np.concatenate(cosines, axis=1), axis=1)[:, :10]
    return [{digests[k] for k in row} for row in best.tolist()]


def query_scale(location: str, n: int) -> dict[str, Any]:
    import numpy as np

    from cvsim.stores import open_index

    rng = np.random.default_rng(7)
    started = time.perf_counter()
    store = open_index(location, create=False)
    opened_s = time.perf_counter() - started
    seconds: list[float] = []
    parts: dict[str, list[float]] = defaultdict(list)
    cpu_s, asked, answers = [], [], []
    for _ in range(N_QUERIES):
        hashes = rng.integers(0, 2**64, 8, np.uint64)
        words = rng.integers(0, 1 << 21, N_PROBES, np.uint32)
        vector = rng.normal(size=N_DIMS).astype(np.float32)
        cpu_before = time.process_time()
        for name, search in (
            ("hashes", lambda h=hashes: store.within_bits("h", h, 10)),
            ("words", lambda w=words: store.by_words("w", w, 48, 2)),
            ("vectors", lambda v=vector: store.nearest("v", v, 50)),
        ):
            started = time.perf_counter()
            answer = search()
            parts[name].append(time.perf_counter() - started)
        asked.append(vector / np.linalg.norm(vector))
        answers.append({digest for digest, _ in answer[:10]})
        seconds.append(sum(found[-1] for found in parts.values()))
        cpu_s.append(time.process_time() - cpu_before)
    store.close()
    right = nearest_vectors(n, np.stack(asked))
    found_share = sum(len(a & b) for a, b in zip(answers, right, strict=True)) / (10 * len(right))
    return {
        "vector_recall_at_10": round(found_share, 4),
        "open_s": round(opened_s, 3),
        **latency(seconds),
        "median_cpu_ms": round(1000 * float(np.median(cpu_s)), 1),
        "first_cpu_ms": round(1000 * cpu_s[0], 1),
        "median_ms_of": {name: round(1000 * float(np.median(found)), 1) for name, found in parts.items()},
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
    }


# --- tables -----------------------------------------------------------------------------------------------


def write_tables() -> None:
    found = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("search_*.json"))]
    runs = [run for run in found if "hit_rate" in run]
    if runs:
        first = next((run for run in runs if run["engine"] == "SQLite"), runs[0])
        header = [
            "index",
            "pictures",
            "queries",
            "hit rate at rank 1",
            f"the same {N_HITS} hits as {first['engine']}",
            "median ms",
            "99th percentile ms",
            "CPU ms",
        ]
        rows = [
            (
                run["engine"],
                tables.count(run["n_indexed"]),
                tables.count(run["n_queries"]),
                tables.share(run["hit_rate"], 4),
                tables.count(sum(map(operator.eq, run["answers"], first["answers"]))),
                tables.number(run["median_ms"], 0),
                tables.number(run["p99_ms"], 0),
                tables.number(run["cpu_ms"], 0),
            )
            for run in runs
        ]
        tables.write_section("search", tables.table(header, rows))
    sizes = sorted(
        (run for run in found if "open_s" in run), key=lambda run: (run["n"], run.get("engine", ""))
    )
    if sizes:
        header = [
            "index",
            "pictures",
            "words a picture",
            "MB on disk",
            "open s",
            "first search ms",
            "median ms",
            "99th ms",
            "CPU ms, first",
            "CPU ms, median",
            "peak MB",
        ]
        rows = [
            (
                run.get("engine", "SQLite"),
                tables.count(run["n"]),
                run["words"],
                tables.count(run["size_mb"]),
                tables.number(run["open_s"], 2),
                tables.number(run["first_ms"], 0),
                tables.number(run["median_ms"], 0),
                tables.number(run["p99_ms"], 0),
                tables.number(run["first_cpu_ms"], 0),
                tables.number(run["median_cpu_ms"], 0),
                tables.count(run["peak_mb"]),
            )
            for run in sizes
        ]
        tables.write_section("search-scale", tables.table(header, rows))


if __name__ == "__main__":
    main()
