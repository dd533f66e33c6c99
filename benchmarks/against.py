#!/usr/bin/env python3
"""What on this card do I have already: `dedupe --against` beside a run over everything.

    python benchmarks/against.py --data DATA/camera DATA/distractors DATA/photos --work FOLDER

The library is cut from the photographs in the given folders: no two of its pictures overlap. So that twenty
thousand can be cut, they are small, and enlarged to the size of a picture on the web. There are two cards, of
which half are pictures that the library does not have: the same ones. The other half are files that were
imported before, as they are, or altered copies of them, each of which asks for a proof. Each run starts
without a cache; both runs of a card are made by turns. Writes ``results/against-PX.json`` and a table of
README.md, both named by the width of the pictures.
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
from statistics import median
from typing import Any

from fingerprint import code_fingerprint
from processes import Cost, measure
from tables import README, count, number, table, write_section

RESULTS = Path(__file__).parent / "results"
CELL_PX = (144, 108)
ALTERATIONS = ("jpeg", "half", "crop", "grey", "mirrored")
CARDS = {"imported": "half were imported before", "altered": "half are altered copies"}
Pairs = dict[tuple[str, str], float]


def main() -> None:
    args = parse_args()
    of = f"{args.n}-{args.n_new}-{args.times}"
    library = args.work / f"library-{of}"
    cards = {card: args.work / f"card-{card}-{of}" for card in CARDS}
    make_sets(args, library, cards)
    result: dict[str, Any] = {
        "code": code_fingerprint(),
        "n_indexed": args.n,
        "n_new": args.n_new,
        "px": [side * args.times for side in CELL_PX],
        "repeats": args.repeats,
    }
    store = library.with_suffix(".db")
    for part in (store, store.with_name(f"{store.name}-wal"), store.with_name(f"{store.name}-shm")):
        part.unlink(missing_ok=True)
    result["index"] = costs([cvsim(["index", str(library), "--store", str(store), "-q"])])
    result["cards"] = {card: compared(folder, library, store, args) for card, folder in cards.items()}
    width_px = result["px"][0]
    args.results.mkdir(parents=True, exist_ok=True)
    text = json.dumps(result, indent=1, sort_keys=True)
    (args.results / f"against-{width_px}.json").write_text(text + "\n", encoding="utf-8")
    if args.readme:
        write_section(f"against-{width_px}", as_table(result), args.readme)


def compared(card: Path, library: Path, store: Path, args: argparse.Namespace) -> dict[str, Any]:
    """What both runs cost, by turns, and where their pairs differ."""
    runs = {"over all": [str(card), str(library)], "against": [str(card), "--against", str(store)]}
    found: dict[str, Pairs] = {}
    taken: dict[str, list[Cost]] = {name: [] for name in runs}
    for _ in range(args.repeats):
        for name, paths in runs.items():
            cost = cvsim(["dedupe", *paths, "--no-cache", "-q", "--json"])
            print(card.name, name, cost.wall_s, cost.cpu_s, file=sys.stderr, flush=True)
            found[name] = pairs_with(json.loads(cost.stdout), str(card))
            taken[name].append(cost)
    over_all, against = found["over all"], found["against"]
    others = [pair for pair in over_all.keys() & against.keys() if over_all[pair] != against[pair]]
    pairs = {"over all": len(over_all), "against": len(against), "of another score": len(others)}
    pairs["missing"] = len(over_all.keys() - against.keys())
    return {**{name: costs(some) for name, some in taken.items()}, "pairs": pairs}


def costs(taken: list[Cost]) -> dict[str, list[float]]:
    """Median, least and most of each."""
    columns = {
        "wall_s": [cost.wall_s for cost in taken],
        "cpu_s": [cost.cpu_s for cost in taken],
        "peak_mb": [cost.peak_mb for cost in taken],
    }
    return {name: [median(values), min(values), max(values)] for name, values in columns.items()}


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders of photographs")
    parser.add_argument("--work", type=Path, required=True, help="the sets are kept here")
    parser.add_argument("--n", type=int, default=20_000, metavar="N", help="pictures of the library")
    parser.add_argument("--n-new", type=int, default=1_000, metavar="N")
    parser.add_argument("--times", type=int, default=3, metavar="N", help="how far each piece is enlarged")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="rounds of both runs of a card")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FOLDER")
    parser.add_argument("--readme", type=Path, default=README, metavar="FILE")
    parser.add_argument("--no-readme", dest="readme", action="store_const", const=None)
    return parser.parse_args()


def cvsim(arguments: list[str]) -> Cost:
    return measure([sys.executable, "-m", "cvsim", *arguments])


def pairs_with(report: Any, card: str) -> Pairs:
    """The links with a file of the card, and their scores."""
    edges = ((e["a"], e["b"], e["score"]) for group in report["groups"] for e in group["edges"])
    return {
        (os.path.abspath(a), os.path.abspath(b)): round(score, 9)
        for a, b, score in edges
        if a.startswith(card) or b.startswith(card)
    }


def make_sets(args: argparse.Namespace, library: Path, cards: dict[str, Path]) -> None:
    """The library and both cards, made on first use."""
    if library.exists() and all(card.exists() for card in cards.values()):
        return
    from PIL import Image

    for folder in (library, *cards.values()):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    n_strangers = args.n_new // 2
    n_all = args.n + n_strangers
    is_stranger = set(random.Random(0).sample(range(n_all), n_strangers))
    names = []
    for k, cell in zip(range(n_all), cut(args.data, args.times), strict=False):
        for folder in cards.values() if k in is_stranger else [library]:
            cell.save(folder / f"{k:06}.jpg", quality=88)
        names += [] if k in is_stranger else [f"{k:06}"]
    if len(names) < args.n:
        raise SystemExit(f"There are too few photographs for {args.n:,} pictures: give a smaller --n")
    chosen = random.Random(1).sample(names, args.n_new - n_strangers)
    for j, name in enumerate(chosen):
        kind, known = ALTERATIONS[j % len(ALTERATIONS)], library / f"{name}.jpg"
        shutil.copy2(known, cards["imported"] / f"IMG_{name}.jpg")
        with Image.open(known) as picture:
            altered(picture.convert("RGB"), kind).save(cards["altered"] / f"{name}-{kind}.jpg", quality=80)


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
    rows = [("index", *cost_cells(result["index"]), "", "", "")]
    for card, what in CARDS.items():
        both = result["cards"][card]
        for name in ("over all", "against"):
            shares = [f"{share:.1%}" for share in shares_of(both)] if name == "against" else ["", ""]
            rows.append((f"{what}: {name}", *cost_cells(both[name]), count(both["pairs"][name]), *shares))
    header = ("run", "seconds", "CPU seconds", "peak MB", "pairs with a new file", "of the seconds", "of CPU")
    pairs = [both["pairs"] for both in result["cards"].values()]
    n_missing, n_other = (sum(found[what] for found in pairs) for what in ("missing", "of another score"))
    width_px, height_px = result["px"]
    words = (
        f"{result['n_new']:,} new pictures against {result['n_indexed']:,} indexed ones of {width_px:,} x "
        f"{height_px:,} pixels; medians, rounds: {result['repeats']}. Of the pairs of the runs over all, "
        f"{n_missing:,} are missing and {n_other:,} have another score."
    )
    return f"{table(header, rows)}\n\n{words}"


def cost_cells(cost: dict[str, list[float]]) -> tuple[str, str, str]:
    return number(cost["wall_s"][0]), number(cost["cpu_s"][0]), number(cost["peak_mb"][0], 0)


def shares_of(both: dict[str, Any]) -> list[float]:
    """Wall clock and CPU of the run against the index, as a share of the run over all."""
    return [both["against"][what][0] / both["over all"][what][0] for what in ("wall_s", "cpu_s")]


if __name__ == "__main__":
    main()
