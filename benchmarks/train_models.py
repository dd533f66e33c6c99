#!/usr/bin/env python3
"""Fit the fusion models that ship: cvsim/models/copy-{fast,default}.json (thorough shares the default's).

    python benchmarks/train_models.py COPIES --negatives FOLDER [--negatives FOLDER] [--effort default]

COPIES is a folder with ``images/`` and ``truth.csv`` (file,group,kind): altered copies with known truth. Every
FOLDER holds photographs of which no two are the same: other views, other products. Candidate pairs of all of
them together are scored and labelled; the model is fitted to these, and its figures are printed.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from console import SimpleProgress

from cvsim.blocking import hash_candidates, unique_pairs, without_pairs, word_candidates
from cvsim.candidates.words import WordRule
from cvsim.clustering import connected_components
from cvsim.collection import find_files, make_nodes, n_pixels, pack_descriptors, read_files
from cvsim.features import make_features
from cvsim.fusion.model import FusionModel
from cvsim.fusion.training import fit_model
from cvsim.pipeline import MODELS, LazyDescriptors
from cvsim.scoring import Scorer
from cvsim.settings import COPY, ScanSettings
from cvsim.stores import open_cache, open_scratch

PRIOR = -7.0
"""Log-odds of a candidate pair before any evidence: about one in a thousand."""
KNOTS = {
    "phash": (0.5, 0.58, 0.64, 0.7, 0.76, 0.82, 0.9, 1.0),
    "tiles": (0.0, 0.3, 0.45, 0.6, 0.7, 0.8, 0.88, 0.95, 1.0),
    "color": (0.0, 0.3, 0.5, 0.7, 0.85, 1.0),
    "keypoints": (0.0, 0.38, 0.47, 0.56, 0.66, 0.76, 0.86, 1.0),
    "pixels": (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.75, 1.0),
    "registration": (0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.88, 0.94, 1.0),
}
PIVOTS = {"phash": 0.64, "tiles": 0.45, "color": 0.7, "keypoints": 0.38, "pixels": 0.45, "registration": 0.7}
NEGATIVE_WEIGHT = 2.0
"""A wrong link costs more than a missing one: it joins two groups."""
WIDE_RADIUS_BITS = 17
WIDE_MIN_VOTES = 3
"""Candidates for training are taken more widely than in use: a larger collection has such pairs, too."""
STAND_IN_TILES = 0.85
"""Before there is a model: whole pictures that correlate by this much stand for each other in the word search."""


def labelled_pairs(
    copies: Path, negatives: list[Path], names: Sequence[str], cache: str | None
) -> tuple[Any, Any]:
    """Similarities of all candidate pairs, and whether each is the same."""
    truth = {row["file"]: row["group"] for row in csv.DictReader((copies / "truth.csv").open())}
    features = make_features(names)
    progress = SimpleProgress()
    with open_cache(cache) if cache else open_scratch() as store:
        found = find_files([str(copies / "images"), *map(str, negatives)], (), ScanSettings())
        reading = read_files(found, features, store, n_workers=2, progress=progress)
        nodes = make_nodes(reading.records, {r.path: "" for r in reading.records})
        digests = [node.digest for node in nodes]
        side = np.zeros(len(nodes), np.int64)
        packed = pack_descriptors(features, digests, store)
        blank = FusionModel("blank", 0.0, {})
        scorer = Scorer(features, packed, digests, store, blank, min_log_odds=-np.inf, n_workers=2)
        with progress.task("Scoring pairs", None) as advance:
            for feature in features:
                feature.radius_bits = WIDE_RADIUS_BITS
            a, b = hash_candidates(features, packed, side)
            scores = scorer.score(a, b, advance)
            if scorer.local is not None:
                tiles = np.nan_to_num(scores.similarities["tiles"])
                labels = connected_components(len(nodes), a, b, tiles, STAND_IN_TILES).labels
                rule = WordRule(min_votes=WIDE_MIN_VOTES)
                words = word_candidates(scorer.local, LazyDescriptors(scorer), labels, n_pixels(nodes), side, rule)
                new = without_pairs(len(nodes), unique_pairs(len(nodes), words), (a, b))
                scores = scores.joined(scorer.score(*new, advance))
    group = np.array([truth.get(Path(node.first.path).name, node.digest) for node in nodes])
    return scores.similarities, group[scores.a] == group[scores.b]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("copies", type=Path)
    parser.add_argument("--negatives", type=Path, action="append", default=[])
    parser.add_argument("--effort", choices=tuple(COPY.signals), action="append")
    parser.add_argument("--cache", help="keep descriptors and verified pairs here between runs")
    arguments = parser.parse_args()
    for effort in arguments.effort or ("fast", "default"):
        similarities, is_same = labelled_pairs(
            arguments.copies, arguments.negatives, COPY.signals[effort], arguments.cache
        )
        origin = {
            "made_by": "benchmarks/train_models.py",
            "copies": arguments.copies.name,
            "negatives": [folder.name for folder in arguments.negatives],
            "n_pairs_same": int(is_same.sum()),
            "n_pairs_different": int((~is_same).sum()),
        }
        model = fit_model(
            f"copy-{effort}",
            similarities,
            is_same,
            knots={name: KNOTS[name] for name in similarities},
            pivots=PIVOTS,
            prior=PRIOR,
            sample_weight=np.where(is_same, 1.0, NEGATIVE_WEIGHT),
            origin=origin,
        )
        (MODELS / f"copy-{effort}.json").write_text(model.to_json(), encoding="utf-8")
        report(model, similarities, is_same)


def report(model: FusionModel, similarities: Any, is_same: Any) -> None:
    score = model.score(similarities)
    print(f"{model.name}: {is_same.sum()} same, {(~is_same).sum()} different")
    for name, curve in model.curves.items():
        print(
            f"  {name:10}",
            " ".join(f"{k:.2f}:{w:+.1f}" for k, w in zip(curve.knots, curve.weights, strict=True)),
        )
    for low, high in ((0.0, 0.05), (0.05, 0.5), (0.5, 0.8), (0.8, 0.95), (0.95, 0.99), (0.99, 1.01)):
        inside = (score >= low) & (score < high)
        print(
            f"  score {low:.2f}-{min(high, 1):.2f}: {inside.sum()} pairs, same {is_same[inside].mean() if inside.any() else float('nan'):.4f}"
        )


if __name__ == "__main__":
    main()
