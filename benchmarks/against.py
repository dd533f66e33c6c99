#!/usr/bin/env python3
"""What on this card do I have already: `dedupe --against` beside a run over everything.

    python benchmarks/against.py --data DATA/camera DATA/distractors DATA/photos --work FOLDER

The library is cut from the photographs in the given folders: no two of its pictures overlap. So that twenty
thousand can be cut, they are small, and enlarged to the size of a picture on the web. Of the new ones, half
are altered copies of pictures of the library, and half are pictures that it does not have. Each run starts
without a cache. Writes ``results/against.json`` and the table of README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

from fingerprint import code_fingerprint
from processes import Cost, measure
from tables import README, count, number, table, write_section

RESULTS = Path(__file__).parent / "results" / "against.json"
CELL_PX = (144, 108)
ALTERATIONS = ("jpeg", "half", "crop", "grey", "mirrored")


def main() -> None:
    args = parse_args()
    of = f"{args.n}-{args.n_new}-{args.times}"
    library, card = args.work / f"library-{of}", args.work / f"card-{of}"
    make_sets(args, library, card)
    result: dict[str, Any] = {
        "code": code_fingerprint(),
        "n_indexed": args.n,
        "n_new": args.n_new,
        "px": [side * args.times for side in CELL_PX],
    }
    store = library.with_suffix(".db")
    for part in (store, store.with_name(f"{store.name}-wal"), store.with_name(f"{store.name}-shm")):
        part.unlink(missing_ok=True)
    index = ["index", str(library), "--store", str(store), "-q"]
    over_all = ["dedupe", str(card), str(library), "--no-cache", "-q", "--json"]
    against = ["dedupe", str(card), "--against", str(store), "--no-cache", "-q", "--json"]
    found: dict[str, Any] = {}
    for name, command in (("index", index), ("against", against), ("over all", over_all)):
        cost = cvsim(command)
        result[name] = {"wall_s": cost.wall_s, "cpu_s": cost.cpu_s, "peak_mb": cost.peak_mb}
        print(name, result[name], file=sys.stderr, flush=True)
        if command[0] == "dedupe":
            found[name] = pairs_with(json.loads(cost.stdout), str(card))
    missing = found["over all"].keys() - found["against"].keys()
    others = {pair: scores for pair in found["over all"] for scores in [found["against"].get(pair)]}
    result["pairs"] = {
        "over all": len(found["over all"]),
        "against": len(found["against"]),
        "missing": len(missing),
        "of another score": sum(one is not None and one != found["over all"][p] for p, one in others.items()),
    }
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(result, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    if args.readme:
        write_section("against", as_table(result), args.readme)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders of photographs")
    parser.add_argument("--work", type=Path, required=True, help="the sets are kept here")
    parser.add_argument("--n", type=int, default=20_000, metavar="N", help="pictures of the library")
    parser.add_argument("--n-new", type=int, default=1_000, metavar="N")
    parser.add_argument("--times", type=int, default=3, metavar="N", help="how far each piece is enlarged")
    parser.add_argument("--json", type=Path, default=RESULTS, metavar="FILE")
    parser.add_argument("--readme", type=Path, default=README, metavar="FILE")
    parser.add_argument("--no-readme", dest="readme", action="store_const", const=None)
    return parser.parse_args()


def cvsim(arguments: list[str]) -> Cost:
    return measure([sys.executable, "-m", "cvsim", *arguments])


def pairs_with(report: Any, card: str) -> dict[tuple[str, str], float]:
    """The links with a file of the card, and their scores."""
    edges = ((e["a"], e["b"], e["score"]) for group in report["groups"] for e in group["edges"])
    return {
        (os.path.abspath(a), os.path.abspath(b)): round(score, 9)
        for a, b, score in edges
        if a.startswith(card) or b.startswith(card)
    }


def make_sets(args: argparse.Namespace, library: Path, card: Path) -> None:
    """Both folders, made on first use."""
    if library.exists() and card.exists():
        return
    from PIL import Image

    for folder in (library, card):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    n_strangers = args.n_new // 2
    n_all = args.n + n_strangers
    is_stranger = set(random.Random(0).sample(range(n_all), n_strangers))
    names = []
    for k, cell in zip(range(n_all), cut(args.data, args.times), strict=False):
        folder = card if k in is_stranger else library
        cell.save(folder / f"{k:06}.jpg", quality=88)
        names += [] if k in is_stranger else [f"{k:06}"]
    if len(names) < args.n:
        raise SystemExit(f"There are too few photographs for {args.n:,} pictures: give a smaller --n")
    chosen = random.Random(1).sample(names, args.n_new - n_strangers)
    for j, name in enumerate(chosen):
        kind = ALTERATIONS[j % len(ALTERATIONS)]
        with Image.open(library / f"{name}.jpg") as picture:
            altered(picture.convert("RGB"), kind).save(card / f"{name}-{kind}.jpg", quality=80)


def cut(data: list[Path], times: int) -> Iterator[Any]:
    """Pieces of photographs that do not overlap."""
    from PIL import Image

    files = [path for folder in data for path in sorted(folder.rglob("*"))]
    files = [path for path in files if path.suffix.lower() in (".jpg", ".jpeg", ".png")]
    random.Random(0).shuffle(files)
    seen: set[bytes] = set()
    width, height = CELL_PX
    for path in files:
        try:
            with Image.open(path) as picture:
                whole = picture.convert("RGB")
        except OSError:
            continue
        for x, y in product(range(whole.width // width), range(whole.height // height)):
            cell = whole.crop((x * width, y * height, (x + 1) * width, (y + 1) * height))
            low, high = cell.convert("L").getextrema()
            look = cell.resize((8, 8)).tobytes()
            if high - low < 48 or look in seen:  # sky is no photograph, and some files are there twice
                continue
            seen.add(look)
            yield cell.resize((width * times, height * times), Image.Resampling.LANCZOS)


def altered(picture: Any, kind: str) -> Any:
    from PIL import ImageOps

    width, height = picture.size
    if kind == "half":
        return picture.resize((width // 2, height // 2))
    if kind == "crop":
        return picture.crop((width // 8, height // 8, width - width // 8, height - height // 8))
    if kind == "grey":
        return ImageOps.grayscale(picture).convert("RGB")
    return ImageOps.mirror(picture) if kind == "mirrored" else picture


def as_table(result: dict[str, Any]) -> str:
    rows = []
    for name in ("index", "over all", "against"):
        cost = result[name]
        pairs = result["pairs"].get(name)
        rows.append(
            (name, number(cost["wall_s"]), number(cost["cpu_s"]), number(cost["peak_mb"], 0), count(pairs))
        )
    header = ("run", "seconds", "CPU seconds", "peak MB", "pairs with a new file")
    pairs, share = result["pairs"], result["against"]["cpu_s"] / result["over all"]["cpu_s"]
    words = (
        f"{result['n_new']:,} new pictures against {result['n_indexed']:,} indexed ones. Of the pairs of a "
        "run "
        f"over all, {pairs['missing']:,} are missing and {pairs['of another score']:,} have another score. "
        f"Looking them up took {share:.1%} of its CPU time."
    )
    return f"{table(header, rows)}\n\n{words}"


if __name__ == "__main__":
    main()
