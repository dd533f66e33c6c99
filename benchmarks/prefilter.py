#!/usr/bin/env python3
"""What a prefilter keeps, beside what it says that it keeps; and what it spares a network.

python benchmarks/prefilter.py --eval EVAL --work WORK [--model MODEL.onnx --others FOLDER]

True pairs are all pairs of pictures of one group. With ``--model``, an image network looks at a copy set
among the unrelated pictures of a folder: at every picture and every pair, and at those of the prefilter.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from console import SimpleProgress
from labelled_sets import LabelledSet, copy_set
from tables import count, number, share, table, write_section

from cvsim.features.embedding import Embedding
from cvsim.images.decode import decode
from cvsim.prefiltering import Prefiltered, prefilter
from cvsim.settings import Settings

SETS = {"part a": ("a", "all"), "part b": ("b", "all"), "part b, light kinds": ("b", "light")}
MIN_COSINES = (0.95, 0.9, 0.8)
WORKING_PX = 512
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
    folders = [str(data.folder), str(others)]
    started = time.process_time()
    found = prefilter(folders, settings, recall=recall, progress=SimpleProgress())
    prefilter_s = time.process_time() - started
    files = [*(str(data.folder / name) for name in data.files), *pictures_under(others)]
    row = {path: k for k, path in enumerate(files)}
    pairs = np.array([(row[p.a], row[p.b]) for p in found if p.a in row and p.b in row])
    network = Embedding(model)
    started = time.process_time()
    vectors = np.stack([looked_at(network, path) for path in files])
    a_picture_s = (time.process_time() - started) / len(files)
    a, b = np.triu_indices(len(files), 1)
    every = (vectors @ vectors.T)[a, b]
    few = np.einsum("ij,ij->i", vectors[pairs[:, 0]], vectors[pairs[:, 1]])
    group = np.array([data.group.get(Path(path).name, path) for path in files])
    looks = len(np.unique(pairs))
    same_all, same_few = group[a] == group[b], group[pairs[:, 0]] == group[pairs[:, 1]]
    return {
        "n_images": len(files),
        "prefilter_cpu_s": prefilter_s,
        "picture_cpu_s": a_picture_s,
        "all": {"n_pictures": len(files), "n_pairs": len(a), "found": linked(every, same_all)},
        "prefiltered": {"n_pictures": looks, "n_pairs": len(pairs), "found": linked(few, same_few)},
    }


def linked(cosine: np.ndarray, is_same: np.ndarray) -> dict[str, list[int]]:
    """True and false pairs from each cosine."""
    return {
        str(least): [int((is_same & (cosine >= least)).sum()), int((~is_same & (cosine >= least)).sum())]
        for least in MIN_COSINES
    }


def pictures_under(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))


def looked_at(network: Embedding, path: str) -> np.ndarray:
    """The network's vector of a picture, of norm 1."""
    vector = network.vector(decode(Path(path).read_bytes(), longest_px=WORKING_PX).rgb)
    if vector is None:
        raise SystemExit(f"the network says nothing about {path}")
    return vector / np.linalg.norm(vector)


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
    results: dict[str, Any] = {"recall": args.recall, "sets": {}}
    for name in args.sets:
        data = copy_set(args.eval, args.work / "sets", *SETS[name])
        found = prefilter([str(data.folder)], settings, recall=args.recall, progress=SimpleProgress())
        results["sets"][name] = kept_figures(data, found)
    text = kept_table(results["sets"])
    if args.model:
        data = copy_set(args.eval, args.work / "sets", "b", "light")
        results["network"] = network_figures(data, args.others, args.model, settings, args.recall)
        text += "\n\n" + network_table(results["network"])
    print(text)
    if not args.no_readme:
        RESULTS.joinpath("prefilter.json").write_text(json.dumps(results, indent=1) + "\n")
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
    for name, key in (("every picture, all pairs", "all"), ("those of the prefilter", "prefiltered")):
        part = figures[key]
        looks_s = part["n_pictures"] * figures["picture_cpu_s"]
        found = [f"{true:,} / {false:,}" for true, false in part["found"].values()]
        rows.append((name, count(part["n_pictures"]), count(part["n_pairs"]), number(looks_s), *found))
    links = [f"links from {least}, true / false" for least in MIN_COSINES]
    return table(("the network looks at", "pictures", "pairs", "its CPU s", *links), rows)


if __name__ == "__main__":
    main()
