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
from train_models import KNOTS, NEGATIVE_WEIGHT, PIVOTS, PRIOR
from training_pairs import labelled_pairs

from cvsim.collection import find_files, read_files
from cvsim.errors import CvsimError
from cvsim.executors import LocalExecutor
from cvsim.features import FEATURES, make_features
from cvsim.fusion.training import fit_model
from cvsim.pipeline import Plan
from cvsim.settings import COPY, Settings
from cvsim.stores import open_cache

THRESHOLDS = (0.5, 0.8, 0.9, 0.95, 0.99, 0.999)
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
    shelf: LabelledSet,
    work: Path,
) -> list[dict[str, Any]]:
    """Figures of each variant on `reported`, fitted to `copies` and `negatives`.

    Returns
    -------
    list of dict
        The whole profile first. Recall is given at the profile's threshold and at equal precision, and the
        difference with the whole profile with its standard error over the photographs.
    """
    used = COPY.signals[effort]
    also = _other_features(used)
    similarities, is_same = labelled_pairs(
        copies.folder.parent, negatives, used, str(work / "ablation-a.sqlite"), also
    )
    knots, pivots = _knots(similarities, is_same)
    settings = Settings(effort=effort, cache=str(work / "ablation-b.sqlite"))  # type: ignore[arg-type]
    _read_all((reported, shelf), (*used, *also), settings)
    rows: list[dict[str, Any]] = []
    whole: np.ndarray | None = None
    for variant in _variants(used, also):
        chosen = {name: knots[name] for name in variant.signals if name in knots}
        model = fit_model(
            variant.name,
            similarities,
            is_same,
            knots=chosen,
            pivots=pivots,
            prior=PRIOR,
            sample_weight=np.where(is_same, 1.0, NEGATIVE_WEIGHT[effort]),
        )
        plan = Plan(make_features(variant.features), model, min(THRESHOLDS))
        row, labels = _figures(plan, settings, reported)
        with scored_collection(shelf, plan, settings) as collection:
            false = grouping_figures(shelf, collection.labels_at(COPY.threshold))
        row |= {"name": variant.name, "shelf": false["n_false_pairs"]}
        found = _found_by_group(reported, labels)
        whole = found if whole is None else whole
        row["difference"], row["standard_error"] = _difference(found, whole, _pairs_by_group(reported))
        rows.append(row)
    return rows


def _read_all(sets: Iterable[LabelledSet], names: Sequence[str], settings: Settings) -> None:
    """Decode each picture once for all variants."""
    store = open_cache(settings.cache or None)
    try:
        for data in sets:
            found = find_files([str(data.folder)], (), settings.scan)
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
        knots[name] = np.unique(np.quantile(values[known], KNOT_SHARES).round(4)).tolist()
        different = np.median(values[known & ~is_same])
        pivots[name] = min(knots[name], key=lambda knot: abs(knot - different))
    return {name: k for name, k in knots.items() if len(k) > 1}, pivots


def _figures(plan: Plan, settings: Settings, data: LabelledSet) -> tuple[dict[str, Any], np.ndarray]:
    """Figures at the profile's threshold and at equal precision, and the labels of the latter."""
    with scored_collection(data, plan, settings) as collection:
        labels = {threshold: collection.labels_at(threshold) for threshold in THRESHOLDS}
    figures = {threshold: grouping_figures(data, labels[threshold]) for threshold in THRESHOLDS}
    safe = [t for t in THRESHOLDS if figures[t]["pair_precision"] >= MIN_PRECISION]
    best = max(safe or THRESHOLDS[-1:], key=lambda t: figures[t]["pair_recall"])
    usual = figures[COPY.threshold]
    row = {
        "pair_precision": usual["pair_precision"],
        "pair_recall": usual["pair_recall"],
        "threshold": best if safe else None,
        "recall_at_equal_precision": figures[best]["pair_recall"] if safe else None,
    }
    return row, labels[best]


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
