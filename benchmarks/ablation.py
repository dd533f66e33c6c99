"""What each signal adds: the model is fitted again without it, or with one more, and applied elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from console import SimpleProgress
from cvsim_runs import grouping_figures, scored_collection
from labelled_sets import LabelledSet
from peer_runs import MIN_PRECISION
from train_models import KNOTS, PIVOTS, PRIOR
from training_pairs import labelled_pairs

from cvsim.errors import CvsimError
from cvsim.executors import LocalExecutor
from cvsim.features import FEATURES, make_features
from cvsim.images.scan import scan
from cvsim.reading.files import read_files
from cvsim.recipes.scoring_plan import ScoringPlan
from cvsim.scoring.fit import fit_model
from cvsim.settings import COPY, Settings
from cvsim.stores import open_cache

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.99, 0.997, 0.999, 0.9997)
KNOT_SHARES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
"""Where the curve of a signal that no shipped model has may bend: quantiles of its similarities."""
N_RESAMPLED = 1000


@dataclass(frozen=True)
class Variant:
    """A profile's signals with one left out or one put in.

    Attributes
    ----------
    name : str
    features : tuple of str
    signals : tuple of str
        What the model weighs; a feature may give more than one.
    """

    name: str
    features: tuple[str, ...]
    signals: tuple[str, ...]


def run_ablation(
    effort: str,
    copies: LabelledSet,
    negatives: Sequence[Path],
    reported: LabelledSet,
    different: Sequence[LabelledSet],
    work: Path,
) -> list[dict[str, Any]]:
    """Figures of each variant on `reported`, fitted to `copies` and `negatives`.

    Returns
    -------
    list of dict
        The whole profile first. False pairs are those of `reported` and of the sets of `different`
        photographs together. Recall is given at the profile's threshold, and at equal precision: at the
        lowest threshold with a precision of 0.999 over all of these. The difference there with the whole
        profile comes with its standard error over the photographs.
    """
    used = COPY.signals[effort]
    also = _other_features(used)
    similarities, is_same = labelled_pairs(
        copies.folder.parent, negatives, used, str(work / "ablation-a.sqlite"), also
    )
    knots, pivots = _knots(similarities, is_same)
    settings = Settings(effort=effort, cache=str(work / "ablation-b.sqlite"))  # type: ignore[arg-type]
    _read_all((reported, *different), (*used, *also), settings)
    rows: list[dict[str, Any]] = []
    whole: _Outcome | None = None
    for variant in _variants(used, also):
        chosen = {name: knots[name] for name in variant.signals if name in knots}
        model = fit_model(variant.name, similarities, is_same, knots=chosen, pivots=pivots, prior=PRIOR)
        plan = ScoringPlan(make_features(variant.features), model, min(THRESHOLDS))
        outcome = _outcome(plan, settings, reported, different)
        whole = whole or outcome
        rows.append({"name": variant.name, **_row(outcome, whole, reported)})
    return rows


@dataclass(frozen=True, eq=False)
class _Outcome:
    """By threshold: the labels of the reported files, and the false pairs of all sets."""

    labels: dict[float, np.ndarray]
    n_false_pairs: dict[float, int]

    def safe_threshold(self, reported: LabelledSet) -> float | None:
        """The lowest with enough precision over all sets; None if there is none."""
        safe = []
        for threshold, labels in self.labels.items():
            n_true = _found_by_group(reported, labels).sum()
            if n_true >= MIN_PRECISION * (n_true + self.n_false_pairs[threshold]):
                safe.append(threshold)
        return min(safe, default=None)


def _outcome(
    plan: ScoringPlan, settings: Settings, reported: LabelledSet, different: Iterable[LabelledSet]
) -> _Outcome:
    labels = _groupings(plan, settings, reported)
    n_false = dict.fromkeys(THRESHOLDS, 0)
    groupings = [(reported, labels), *((data, _groupings(plan, settings, data)) for data in different)]
    for data, found in groupings:
        for threshold in THRESHOLDS:
            n_false[threshold] += grouping_figures(data, found[threshold])["n_false_pairs"]
    return _Outcome(labels, n_false)


def _row(outcome: _Outcome, whole: _Outcome, reported: LabelledSet) -> dict[str, Any]:
    """Figures at the profile's threshold, and at equal precision."""
    at = outcome.safe_threshold(reported)
    usual = grouping_figures(reported, outcome.labels[COPY.threshold])
    # Where no threshold is strict enough, what the strictest still finds is compared.
    found, best = (
        _found_by_group(reported, o.labels[o.safe_threshold(reported) or THRESHOLDS[-1]])
        for o in (outcome, whole)
    )
    total = _pairs_by_group(reported)
    difference, error = _difference(found, best, total)
    return {
        "pair_precision": usual["pair_precision"],
        "pair_recall": usual["pair_recall"],
        "n_false_pairs": outcome.n_false_pairs[COPY.threshold],
        "threshold": at,
        "recall_at_equal_precision": None if at is None else float(found.sum() / total.sum()),
        "difference": difference,
        "standard_error": error,
    }


def _read_all(sets: Iterable[LabelledSet], names: Sequence[str], settings: Settings) -> None:
    """Decode each picture once for all variants."""
    store = open_cache(settings.cache or None)
    try:
        for data in sets:
            found = scan([str(data.folder)], **settings.scan.keywords)
            features = make_features(names)
            executor = LocalExecutor(settings.n_workers)
            read_files(found, features, store, executor=executor, progress=SimpleProgress())
    finally:
        store.close()


def _other_features(used: Sequence[str]) -> tuple[str, ...]:
    """Signals that are selectable without more files, and not in the profile."""
    others = []
    for name in FEATURES:
        try:
            (feature,) = make_features([name])
        except CvsimError:
            continue  # needs a model file or an extra
        if name not in used and feature.search != "words":
            others.append(name)
    return tuple(others)


def _variants(used: Sequence[str], also: Sequence[str]) -> Iterator[Variant]:
    features = {feature.name: feature for feature in make_features([*used, *also])}
    signals = [(name, signal) for name in used for signal in features[name].signals]
    yield Variant("all", tuple(used), tuple(signal for _, signal in signals))
    for name, left_out in signals:
        alone = len(features[name].signals) == 1
        rest = tuple(n for n in used if n != name or not alone)
        yield Variant(f"without {left_out}", rest, tuple(s for _, s in signals if s != left_out))
    for name in used:
        if len(features[name].signals) > 1:
            rest = tuple(n for n in used if n != name)
            yield Variant(f"without {name}", rest, tuple(s for n, s in signals if n != name))
    for name in also:
        added = (*(signal for _, signal in signals), *features[name].signals)
        yield Variant(f"with {name}", (*used, name), added)


def _knots(
    similarities: Mapping[str, np.ndarray], is_same: np.ndarray
) -> tuple[dict[str, Sequence[float]], dict[str, float]]:
    """Those of the shipped models, and quantiles for signals that these do not weigh."""
    knots: dict[str, Sequence[float]] = {}
    pivots = dict(PIVOTS)
    for name, values in similarities.items():
        if name in KNOTS:
            knots[name] = KNOTS[name]
            continue
        known = ~np.isnan(values)
        if not known.any():
            continue
        knots[name] = np.unique(np.quantile(values[known], KNOT_SHARES).round(4)).tolist()
        different = np.median(values[known & ~is_same])
        pivots[name] = min(knots[name], key=lambda knot: abs(knot - different))
    return {name: k for name, k in knots.items() if len(k) > 1}, pivots


def _groupings(plan: ScoringPlan, settings: Settings, data: LabelledSet) -> dict[float, np.ndarray]:
    """By threshold, one label a file."""
    with scored_collection(data, plan, settings) as collection:
        return {threshold: collection.labels_at(threshold) for threshold in THRESHOLDS}


def _pairs_by_group(data: LabelledSet) -> np.ndarray:
    _, sizes = np.unique([data.group[f] for f in data.files], return_counts=True)
    return sizes * (sizes - 1) // 2


def _found_by_group(data: LabelledSet, labels: np.ndarray) -> np.ndarray:
    """True pairs within a predicted group, for each true group in the order of its name."""
    names, group = np.unique([data.group[f] for f in data.files], return_inverse=True)
    cells, counts = np.unique(np.stack([group, labels]), axis=1, return_counts=True)
    return np.bincount(cells[0], weights=counts * (counts - 1) // 2, minlength=len(names))


def _difference(found: np.ndarray, whole: np.ndarray, total: np.ndarray) -> tuple[float, float]:
    """Difference of two recalls, and its standard error over photographs drawn again and again."""
    rng = np.random.default_rng(0)
    has_pairs = total > 0
    change, total = (found - whole)[has_pairs], total[has_pairs]
    drawn = rng.integers(0, len(total), (N_RESAMPLED, len(total)))
    resampled = change[drawn].sum(axis=1) / total[drawn].sum(axis=1)
    return float(change.sum() / total.sum()), float(resampled.std())
