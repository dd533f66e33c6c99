#!/usr/bin/env python3
"""Fit the fusion models that ship: cvsim/models/copy-{fast,default}.json (thorough shares the default's).

    python benchmarks/train_models.py --data DATA --eval EVAL --work FOLDER [--effort default]

Learns from part a of the copy set, and from photographs of which no two are the same: other views of one
shelf and colours of one product (the halves that the accuracy benchmark does not report alone), other
products, pictures that show next to nothing. Candidate pairs of all of them together are scored and labelled;
the model is fitted to these, and its figures are printed.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from flat_pictures import flat_pictures
from labelled_sets import copy_set, different_photographs
from training_pairs import labelled_pairs

from cvsim.recipes.scoring_plan import MODELS
from cvsim.scoring.fit import fit_model
from cvsim.scoring.model import FusionModel
from cvsim.settings import COPY

PRIOR = -7.0
"""Log-odds of a candidate pair before any evidence: about one in a thousand."""
KNOTS = {
    "phash": (0.5, 0.58, 0.64, 0.7, 0.76, 0.82, 0.9, 1.0),
    "tiles": (0.0, 0.3, 0.45, 0.6, 0.7, 0.8, 0.88, 0.95, 1.0),
    "color": (0.0, 0.3, 0.5, 0.7, 0.85, 1.0),
    "keypoints": (0.0, 0.1, 0.2, 0.5, 0.58, 0.65, 0.73, 0.81, 0.89, 1.0),
    "pixels": (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.75, 1.0),
    "registration": (0.0, 0.15, 0.3, 0.45, 0.6, 0.7, 0.8, 0.88, 0.94, 0.97, 1.0),
    "coloring": (0.0, 0.15, 0.3, 0.45, 0.6, 0.8, 0.92, 1.0),
    "structure": (0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0),
    "content": (0.0, 0.2, 0.35, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
}
PIVOTS = {
    "phash": 0.64,
    "tiles": 0.45,
    "color": 0.7,
    "keypoints": 0.2,
    "pixels": 0.4,
    "registration": 0.6,
    "coloring": 0.8,
    "structure": 0.8,
    "content": 0.5,
}
TRAINED = ("fast", "default")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folders of photographs")
    parser.add_argument("--eval", type=Path, help="the maker of copy sets")
    parser.add_argument("--work", type=Path, required=True, help="sets, descriptors and verified pairs")
    parser.add_argument("--effort", choices=TRAINED, action="append")
    arguments = parser.parse_args()
    sets = arguments.work / "sets"
    copies = copy_set(arguments.eval, sets, "a")
    negatives = [
        different_photographs(arguments.data / "distractors", "a", sets),
        different_photographs(arguments.data / "products-catalogue", "a", sets),
        different_photographs(arguments.data / "products-cartons"),
        flat_pictures(sets, "a"),
    ]
    for effort in arguments.effort or TRAINED:
        similarities, is_same = labelled_pairs(
            copies.folder.parent,
            [negative.folder for negative in negatives],
            COPY.signals[effort],
            str(arguments.work / "training.sqlite"),
            working_px=COPY.working_px[effort],
        )
        origin = {
            "made_by": "benchmarks/train_models.py",
            "copies": copies.name,
            "negatives": [negative.name for negative in negatives],
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
            origin=origin,
        )
        (MODELS / f"copy-{effort}.json").write_text(model.to_json(), encoding="utf-8")
        report(model, similarities, is_same)


def report(model: FusionModel, similarities: Any, is_same: Any) -> None:
    """Print the curves, and how often pairs of each score are the same."""
    score = model.score(similarities)
    print(f"{model.name}: {is_same.sum()} same, {(~is_same).sum()} different")
    for name, curve in model.curves.items():
        bends = zip(curve.knots, curve.weights, strict=True)
        print(f"  {name:12}", " ".join(f"{k:.2f}:{w:+.1f}" for k, w in bends))
    for low, high in ((0.0, 0.05), (0.05, 0.5), (0.5, 0.8), (0.8, 0.95), (0.95, 0.99), (0.99, 1.01)):
        inside = (score >= low) & (score < high)
        rate = f"same {is_same[inside].mean():.4f}" if inside.any() else ""
        print(f"  score {low:.2f}-{min(high, 1):.2f}: {inside.sum()} pairs {rate}")


if __name__ == "__main__":
    main()
