#!/usr/bin/env python3
"""What a prefilter keeps, beside what it says that it keeps; and what it spares a network.

python benchmarks/prefilter.py --eval EVAL --work WORK [--model MODEL.onnx --others FOLDER]

True pairs are all pairs of pictures of one group. With ``--model``, an image network looks at a copy set
among the unrelated pictures of a folder: at every picture and every pair, and at those of the prefilter.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from console import SimpleProgress
from labelled_sets import LabelledSet, copy_set
from regions import RegionNetwork, compared
from tables import count, number, share, table, write_section

from cvsim.recipes.prefilter import Prefiltered, prefilter
from cvsim.settings import Settings

SETS = {"part a": ("a", "all"), "part b": ("b", "all"), "part b, light kinds": ("b", "light")}
MIN_SIMILARITIES = (0.95, 0.9, 0.8)
RESULTS = Path(__file__).with_name("results")

Pairs = set[tuple[str, str]]


def true_pairs(data: LabelledSet) -> Pairs:
    """Of file names, each pair in order."""
    files = data.files
    groups: dict[str, list[str]] = {}
    for name in files:
        groups.setdefault(data.group[name], []).append(name)
    return {(a, b) for names in groups.values() for i, a in enumerate(names) for b in names[i + 1 :]}


def names_of(found: Prefiltered) -> Pairs:
    pairs = ((Path(pair.a).name, Path(pair.b).name) for pair in found)
    return {(min(pair), max(pair)) for pair in pairs}


def kept_figures(data: LabelledSet, found: Prefiltered) -> dict[str, Any]:
    """What is kept of the true pairs and of the others."""
    kept, true = names_of(found), true_pairs(data)
    n_others = found.n_all_pairs - len(true)
    recall = len(kept & true) / len(true)
    return {
        "n_images": found.n_images,
        "n_true": len(true),
        "recall": recall,
        "stated": found.recall,
        "off": None if found.recall is None else abs(found.recall - recall),
        "others_kept": len(kept - true) / n_others,
        "spared": found.share_spared,
        "cutoff": found.cutoff,
        "n_copies": found.n_copies,
    }


def network_figures(
    data: LabelledSet, others: Path, model: str, settings: Settings, recall: float
) -> dict[str, Any]:
    """A network over all pairs of a copy set and of unrelated pictures, and over those of the prefilter."""
    started = cpu_s()
    uncached = replace(settings, cache=None)
    found = prefilter([str(data.folder), str(others)], uncached, recall=recall, progress=SimpleProgress())
    prefilter_s = cpu_s() - started
    files = [*(str(data.folder / name) for name in data.files), *pictures_under(others)]
    row = {path: k for k, path in enumerate(files)}
    wanted = np.zeros((len(files), len(files)), bool)
    for pair in found:
        if pair.a in row and pair.b in row:
            wanted[min(row[pair.a], row[pair.b]), max(row[pair.a], row[pair.b])] = True
    network = RegionNetwork(model)
    started = cpu_s()
    regions = np.stack([network.regions(path) for path in files])
    picture_s = (cpu_s() - started) / len(files)
    group = np.array([data.group.get(Path(path).name, path) for path in files])
    ways = {"all": np.triu(np.ones_like(wanted), 1), "prefiltered": wanted}
    figures: dict[str, Any] = {"n_images": len(files), "prefilter_cpu_s": prefilter_s}
    for name, pairs in ways.items():
        looks = int((pairs.any(axis=0) | pairs.any(axis=1)).sum())
        figures[name] = {"n_pictures": looks, "pictures_cpu_s": looks * picture_s}
        figures[name] |= compared_figures(regions, pairs, group)
    return figures


def cpu_s() -> float:
    """Of this process and of those that it started."""
    return sum(os.times()[:4])


def compared_figures(regions: np.ndarray, pairs: np.ndarray, group: np.ndarray) -> dict[str, Any]:
    """True and false links of the network among some pairs, and the time that comparing them takes."""
    started = cpu_s()
    rows = [np.flatnonzero(row) for row in pairs]
    similarity = np.concatenate([compared(regions, k, others) for k, others in enumerate(rows)])
    spent_s = cpu_s() - started
    is_same = np.concatenate([group[k] == group[others] for k, others in enumerate(rows)])
    links = {least: similarity >= least for least in MIN_SIMILARITIES}
    return {
        "n_pairs": len(similarity),
        "pairs_cpu_s": spent_s,
        "found": {str(s): [int((is_same & of).sum()), int((~is_same & of).sum())] for s, of in links.items()},
    }


def pictures_under(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--eval", type=Path, help="folder of the maker of altered copies")
    parser.add_argument("--work", type=Path, required=True, help="sets and caches are kept here")
    parser.add_argument("--recall", type=float, default=0.99)
    parser.add_argument("--sets", nargs="*", choices=sorted(SETS), default=list(SETS))
    parser.add_argument("--model", help="an ONNX image network")
    parser.add_argument("--others", type=Path, help="folder of unrelated pictures for it")
    parser.add_argument("--no-readme", action="store_true", help="leave the tables of README.md as they are")
    args = parser.parse_args()
    settings = Settings(cache=str(args.work / "caches" / "prefilter.sqlite"))
    Path(settings.cache or "").parent.mkdir(parents=True, exist_ok=True)
    file = RESULTS / "prefilter.json"
    results: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {"sets": {}}
    results["recall"] = args.recall
    for name in args.sets:
        data = copy_set(args.eval, args.work / "sets", *SETS[name])
        found = prefilter([str(data.folder)], settings, recall=args.recall, progress=SimpleProgress())
        results["sets"][name] = kept_figures(data, found)
    if args.model:
        data = copy_set(args.eval, args.work / "sets", "b", "light")
        results["network"] = network_figures(data, args.others, args.model, settings, args.recall)
    text = kept_table(results["sets"])
    if "network" in results:
        text += "\n\n" + network_table(results["network"])
    print(text)
    if not args.no_readme:
        file.write_text(json.dumps(results, indent=1) + "\n")
        write_section("prefilter", text)


def kept_table(sets: dict[str, Any]) -> str:
    rows: Iterable[tuple[str, ...]] = (
        (
            name,
            count(figures["n_images"]),
            count(figures["n_true"]),
            share(figures["recall"], 4),
            share(figures["stated"], 4),
            f"{figures['others_kept']:.4%}",
            f"{figures['spared']:.2%}",
            f"{figures['cutoff']:g}",
        )
        for name, figures in sets.items()
    )
    header = ("set", "images", "true pairs", "kept", "stated", "others kept", "pairs spared", "from score")
    return table(header, rows)


def network_table(figures: dict[str, Any]) -> str:
    rows = []
    for name, key, first_s in (
        ("every picture, all pairs", "all", 0.0),
        ("those of the prefilter", "prefiltered", figures["prefilter_cpu_s"]),
    ):
        part = figures[key]
        spent = (first_s, part["pictures_cpu_s"], part["pairs_cpu_s"])
        found = [f"{true:,} / {false:,}" for true, false in part["found"].values()]
        counted = (count(part["n_pictures"]), count(part["n_pairs"]))
        rows.append((name, *counted, *(number(s) for s in (*spent, sum(spent))), *found))
    header = ("the network looks at", "pictures", "pairs", "prefilter, CPU s", "pictures, CPU s")
    links = [f"links from {least}, true / false" for least in MIN_SIMILARITIES]
    return table((*header, "pairs, CPU s", "all, CPU s", *links), rows)


if __name__ == "__main__":
    main()
