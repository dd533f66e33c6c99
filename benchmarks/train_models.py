#!/usr/bin/env python3
"""Fit the fusion models that ship, cvsim/models/{copy,alike}-{fast,default}.json; thorough has the default's.

    python benchmarks/train_models.py --data DATA --eval EVAL --work FOLDER \\
        --domains DOMAINS --real FOLDER --domain-copies FOLDER [--profile alike] [--effort default] [--flat]

Learns from part a of the copy set, from what phones, networks and editors make of photographs, from pictures
of one sort (charts, icons, pages, microscopy) and altered copies of them, and from photographs of which no
two are the same: other views of one shelf and colours of one product (the halves that the accuracy benchmark
does not report alone), other products, pictures that show next to nothing. Candidate pairs of each set are
scored and labelled; the model is fitted to these, and its figures are printed.

For ``alike``, bursts of the photographs of part a are the same, too (see `burst_sets`); views of one shelf
and of one carton, which may be that or not, take no part.

``--flat`` fits only the curves of pictures with flat ground (see `cvsim.scoring.model.CASES`), and leaves
those of photographs what they are in the model that is there. So the models of ``copy`` were made.

DATA holds folders of photographs, DOMAINS folders of pictures and ``true_pairs.json``, the other two folders
of ``images/`` with ``truth.csv``. Transparent pictures are to be altered as they look on white.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from burst_sets import bursts_of
from flat_pictures import flat_pictures
from labelled_sets import LabelledSet, copy_set, different_photographs, read_truth
from training_pairs import LabelledPairs, pairs_of

from cvsim.recipes.scoring_plan import MODELS
from cvsim.scoring.fit import fit_model
from cvsim.scoring.model import CASES, COVERAGE, FLAT, TEXTURE, Curve, FusionModel, cases_of, read_model
from cvsim.settings import LIKE_VIEWS, PROFILES, Profile

PRIOR = -7.0
"""Log-odds of a candidate pair before any evidence: about one in a thousand."""
KNOTS = {
    "phash": (0.5, 0.58, 0.64, 0.7, 0.76, 0.82, 0.9, 1.0),
    "tiles": (0.0, 0.3, 0.45, 0.6, 0.7, 0.8, 0.88, 0.95, 1.0),
    "color": (0.0, 0.3, 0.5, 0.7, 0.85, 1.0),
    "levels": (0.0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
    "keypoints": (0.0, 0.1, 0.2, 0.5, 0.58, 0.65, 0.73, 0.81, 0.89, 1.0),
    "pixels": (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.75, 0.985, 1.0),
    "registration": (0.0, 0.15, 0.3, 0.45, 0.6, 0.7, 0.8, 0.88, 0.94, 0.97, 1.0),
    "coloring": (0.0, 0.15, 0.3, 0.45, 0.6, 0.8, 0.92, 1.0),
    "structure": (0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0),
    "content": (0.0, 0.2, 0.35, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
    "spread": (0.0, 0.2, 0.4, 0.6, 0.8, 1.0),
    "moment": (0.28, 0.44, 0.64, 0.79, 0.94, 1.0),
}
"""Those of the moment are an hour, ten minutes, one, ten seconds, one, and none apart."""
FLAT_KNOTS = {
    "phash": (0.5, 0.58, 0.64, 0.7, 0.76, 0.82, 0.9, 0.95, 0.98, 1.0),
    "tiles": (0.0, 0.3, 0.45, 0.6, 0.7, 0.8, 0.88, 0.95, 0.985, 1.0),
    "pixels": (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.75, 0.85, 0.92, 0.96, 0.985, 0.995, 1.0),
    "registration": (0.0, 0.15, 0.3, 0.45, 0.6, 0.7, 0.8, 0.88, 0.94, 0.97, 0.985, 1.0),
    "structure": (0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.985, 0.997, 1.0),
}
"""Of drawings and pages with ``--flat``: two charts of one library agree to .98, chart and copy to .999."""
BY_HAND = {"consistency": Curve((0.6, 0.7, 0.8, 0.88, 1.0), (-10.0, -5.0, -2.5, 0.0, 0.0))}
"""Not fitted: strangers of whom this speaks (forms, codes) are not among the sets. Drawn by hand so that
those of `drawn_sorts` (parts a and b) lose more than all that speaks for them, and copies of nine sorts of
pictures hardly anything; tried on part c."""
_OTHER_LETTERS = Curve((0.9, 0.94, 0.97, 1.0), (-6.0, -3.0, 0.0, 0.0))
OF_COPIES = {f"writing{case}": _OTHER_LETTERS for case in CASES if FLAT in case}
"""Not fitted either, and not asked of like views: drawn by hand on linked strangers of `drawn_sorts` (parts
a to c), on copies of these and of nine other sorts; tried on part d. On photographs it would cost a copy in a
frame now and then, and there strangers have no lines in common."""
MOST = {
    "alike-fast": {"moment": 3.0, "color": 5.0},
    "alike-default": {"moment": 3.0, "color": 3.0},
}
"""What signals add at most, whatever the fit says, by model. How many pictures are taken within seconds, and
how many of them in one room and light, differs from person to person. A pair begins at one in a thousand, so
that time and colours alone do not link. Of 3, 4 and 5 for the colours these had the fewest false links among
the training sets (``fast`` 19, 15 and 7 in frames that strangers share)."""
PIVOTS = {
    "phash": 0.64,
    "tiles": 0.45,
    "color": 0.7,
    "levels": 0.3,
    "keypoints": 0.2,
    "pixels": 0.4,
    "registration": 0.6,
    "coloring": 0.8,
    "structure": 0.8,
    "content": 0.5,
    "spread": 0.4,
    "moment": 0.28,
}
"""The moment's is its first knot: pictures of different hours are no evidence against each other."""
TRAINED = ("fast", "default")
TRAINING_DOMAINS = ("charts", "icons", "sprites_wesnoth", "docpages", "bloodcells")
"""The others are what the fit is judged on."""
WEIGHTS = {
    "same photograph": 7.0,
    "same photograph, flat": 3.0,
    "different": 4.0,
    "different, of one sort": 3.0,
}
"""Of pairs of photographs that are the same, by `TEXTURE`, and of all that are different; 1 for the others.
Chosen on part b of the copy set, the other domains and the kinds of copies that a fit of 1 each lost."""
FLAT_WEIGHTS = {
    **WEIGHTS,
    "same, of one sort": 2.0,
    "different": 12.0,
    "different, of one sort": 6.0,
}
STRANGERS = 0.75
FLAT_RIDGE = 0.2
"""With ``--flat`` a pair of strangers counts 1 / n ** 0.75, n being the pairs of the same two groups: else 13
copies each of two charts that differ in a word would outweigh all other charts. These, the weights and the
penalty were chosen on the training domains and copies of them, so that neither flat pictures nor any of the
ten domains link more strangers than before; copies of the five other domains were looked at, too. Tried on
copies of twenty more pictures of each of the ten."""
INDIRECT = 0.3
"""What a pair of two copies counts, of which there are many more than of a copy and its original."""
SEEN = {
    "copy": {"phash": 0.8, "pixels": 0.25, "levels": 0.6},
    "alike": {"phash": 0.6, "pixels": 0.03, "levels": 0.4, "tiles": 0.3},
}
LOST = 0.05
"""Copies in which nothing of the original is found teach nothing: those with less of all signals, by profile,
and those below this score in the first of two fits."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folders of photographs")
    parser.add_argument("--eval", type=Path, help="the maker of copy sets")
    parser.add_argument("--work", type=Path, required=True, help="sets, descriptors and verified pairs")
    parser.add_argument("--domains", type=Path, required=True, help="folders of pictures of one sort each")
    parser.add_argument("--real", type=Path, required=True, help="photographs with real-world alterations")
    parser.add_argument("--domain-copies", type=Path, required=True, help="altered copies, by domain")
    parser.add_argument("--profile", choices=sorted(PROFILES), default="copy")
    parser.add_argument("--effort", choices=TRAINED, action="append")
    parser.add_argument("--flat", action="store_true", help="fit only the curves of flat ground")
    parser.add_argument("--out", type=Path, default=MODELS, help="where the models are written")
    arguments = parser.parse_args()
    profile = PROFILES[arguments.profile]
    for effort in arguments.effort or TRAINED:
        sets: list[tuple[str, bool, LabelledPairs]] = []
        true_pairs = json.loads((arguments.domains / "true_pairs.json").read_text(encoding="utf-8"))
        for labelled, is_photograph in training_sets(arguments, profile):
            domain = labelled.name.removesuffix("-copies")
            pairs = pairs_of(
                labelled,
                profile.signals[effort],
                str(arguments.work / f"pairs-{labelled.name}-{effort}.sqlite"),
                working_px=profile.working_px[effort],
                also_same=frozenset(tuple(sorted(pair)) for pair in true_pairs.get(domain, ())),
            )
            sets.append((labelled.name, is_photograph, pairs))
        model = fitted(profile, effort, sets, flat_only=arguments.flat)
        (arguments.out / f"{model.name}.json").write_text(model.to_json(), encoding="utf-8")
        for name, _, pairs in sets:
            report_set(model, name, pairs, profile.threshold)
        report(model, joined(sets), np.concatenate([pairs.is_same for _, _, pairs in sets]))


def training_sets(arguments: argparse.Namespace, profile: Profile) -> Iterator[tuple[LabelledSet, bool]]:
    """Each set, and whether it holds copies (or frames) of photographs."""
    sets = arguments.work / "sets"
    if profile is LIKE_VIEWS:
        yield bursts_of(arguments.data, arguments.eval, sets, "a"), True
    yield copy_set(arguments.eval, sets, "a"), True
    yield read_truth(arguments.real, "real"), True
    for domain in TRAINING_DOMAINS:
        yield different_photographs(arguments.domains / domain), False
        yield read_truth(arguments.domain_copies / domain, f"{domain}-copies"), False
    views = [("distractors", "a"), ("products-catalogue", "a"), ("products-cartons", None)]
    for folder, part in views[1:2] if profile is LIKE_VIEWS else views:
        yield different_photographs(arguments.data / folder, part, sets), False
    yield flat_pictures(sets, "a"), False


def joined(sets: list[tuple[str, bool, LabelledPairs]]) -> dict[str, np.ndarray]:
    """Similarities of all sets, one after the other."""
    names = sets[0][2].similarities
    return {n: np.concatenate([pairs.similarities[n] for _, _, pairs in sets]) for n in names}


def fitted(
    profile: Profile, effort: str, sets: list[tuple[str, bool, LabelledPairs]], *, flat_only: bool
) -> FusionModel:
    """The model of all sets together; but for its curves of flat ground, the one that is there."""
    similarities = joined(sets)
    is_same = np.concatenate([pairs.is_same for _, _, pairs in sets])
    weight = weights_of(profile, similarities, sets, flat_only=flat_only)
    signals = [signal for signal in similarities if signal in KNOTS]
    knots: dict[str, Any] = {signal: KNOTS[signal] for signal in signals}
    name, kept, options = f"{profile.name}-{effort}", None, {}
    by_hand = {signal: curve for signal, curve in BY_HAND.items() if signal in similarities}
    if profile is not LIKE_VIEWS and "writing" in similarities:
        by_hand |= OF_COPIES
    origin = {
        "made_by": "benchmarks/train_models.py",
        "copies": [one for one, _, pairs in sets if pairs.is_direct.any()],
        "negatives": [one for one, _, pairs in sets if not pairs.is_direct.any()],
        "weights": WEIGHTS,
        "n_pairs_same": int(is_same.sum()),
        "n_pairs_different": int((~is_same).sum()),
    }
    if flat_only:
        kept = read_model(MODELS / f"{name}.json")
        origin |= {"weights": FLAT_WEIGHTS, "kept": dict(kept.origin.get("kept", kept.origin))}
        knots |= {
            signal + case: FLAT_KNOTS[signal]
            for signal in signals
            if signal in FLAT_KNOTS
            for case in CASES
            if FLAT in case
        }
        options = {"ridge": FLAT_RIDGE, "by_hand": by_hand}
    model = FusionModel(name, PRIOR, {})
    for _ in range(2):
        model = fit_model(
            name,
            similarities,
            is_same,
            knots=knots,
            pivots=PIVOTS,
            prior=PRIOR,
            weight=weight,
            by_case=[signal for signal in signals if signal != "moment"],
            most=MOST.get(name),
            kept=kept,
            origin=origin,
            **options,
        )
        weight = np.where(is_same & (model.score(similarities) < LOST), 0.0, weight)
    return replace(model, curves={**model.curves, **by_hand})


def weights_of(
    profile: Profile,
    similarities: dict[str, np.ndarray],
    sets: list[tuple[str, bool, LabelledPairs]],
    *,
    flat_only: bool,
) -> np.ndarray:
    """What each pair of all sets counts."""
    chosen = FLAT_WEIGHTS if flat_only else WEIGHTS
    is_same, is_direct, n_of_groups = (
        np.concatenate([getattr(pairs, name) for _, _, pairs in sets])
        for name in ("is_same", "is_direct", "n_of_groups")
    )
    of_photographs = np.concatenate([np.full(len(pairs.is_same), photo) for _, photo, pairs in sets])
    textured = cases_of({TEXTURE: similarities[TEXTURE]}) == 0
    same = np.where(textured, chosen["same photograph"], chosen["same photograph, flat"])
    names = [one.removesuffix("-copies") for one, _, pairs in sets for _ in range(len(pairs.is_same))]
    of_one_sort = np.isin(names, TRAINING_DOMAINS)
    different = np.where(of_one_sort, chosen["different, of one sort"], chosen["different"])
    if flat_only:
        different = different / n_of_groups**STRANGERS
    weight = np.where(
        is_same, np.where(of_photographs, same, chosen.get("same, of one sort", 1.0)), different
    )
    weight *= np.where(is_same & ~is_direct, INDIRECT, 1.0)
    least_seen = SEEN[profile.name].items()
    asked = [similarities[signal] > least for signal, least in least_seen if signal in similarities]
    return np.where(is_same & ~np.any(asked, axis=0), 0.0, weight)


def report_set(model: FusionModel, name: str, pairs: LabelledPairs, threshold: float) -> None:
    """Print what is linked at the profile's threshold, by pairs with an original."""
    linked = model.score(pairs.similarities) >= threshold
    case = cases_of({n: pairs.similarities[n] for n in (COVERAGE, TEXTURE) if n in pairs.similarities})
    wrong = [int((linked & ~pairs.is_same & (case == k)).sum()) for k in range(len(CASES))]
    known = pairs.is_same & pairs.is_direct
    recall = {k: linked[known & (pairs.kind == k)].mean() for k in np.unique(pairs.kind[known]).tolist()}
    low = " ".join(f"{k} {v:.2f}" for k, v in sorted(recall.items(), key=lambda one: one[1])[:8])
    found = f"{linked[known].mean():.3f}" if known.any() else "-"
    print(f"{name:24} false links by case {wrong}, recall {found} {low}")


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
