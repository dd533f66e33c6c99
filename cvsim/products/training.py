"""Learning a product model from labelled photos, by cross-validation over products.

1. The products, not the photos, are parted in halves, several times: what is learned on one half is tried
   on the other, so that no product is ever on both sides.
2. From the held-out cosines of each signal a logistic regression learns what each is worth. Half of each
   weight is kept equal over the signals: a regression on pairs starves a signal that agrees with another,
   though grouping gains from both.
3. Each way of grouping is tried on the held-out halves at every threshold. The best on average is taken.
4. The metric is learned once more, from all products.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from cvsim.errors import UsageError
from cvsim.groups.evaluation import RECALL_CUTOFFS, adjusted_rand_index
from cvsim.products.gallery import fit_gallery
from cvsim.products.grouping import CHANCE_CURVE
from cvsim.products.methods import TREES
from cvsim.products.metric import fit_metric
from cvsim.products.model import (
    DEFAULT_PAIR_THRESHOLD,
    GroupingRule,
    MergeCurve,
    ProductModel,
    Signal,
    SignalSource,
    even_out,
    fused,
)
from cvsim.products.partition import MergeTree, build_tree, merge_agreement
from cvsim.products.reranking import near_enough
from cvsim.progress import SilentProgress

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from cvsim.products.details import Details
    from cvsim.progress import Progress
    from cvsim.types import Indices

N_REPEATS = 4
"""How often the products are parted into halves; each time gives two folds."""
MAX_FOLD_IMAGES = 2000
"""Products are drawn until a fold has this many, so that training grows with the images, not their pairs."""
MAX_PAIRS = 60_000
EVENING_POWERS = (0.0, 0.25, 0.5)
PROBABILITIES = np.linspace(0.02, 0.98, 49)
TRIED = tuple(method for method in TREES if method != "chance")
"""Ways of grouping that compete; that by chance is for collections without answers."""
DEFAULT_METHOD = "ward"
DEFAULT_THRESHOLD = 0.5
TIE = 0.01
"""A setting that scores this much less is as good; the simpler one, which comes first, is taken."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class _Fold:
    """Held-out photos, each signal mapped by what was learned from the other products."""

    mapped: list[NDArray[np.float32]]
    codes: Indices


def train(
    blocks: Sequence[NDArray[np.float32]],
    labels: ArrayLike,
    sources: Sequence[SignalSource],
    *,
    details: Details | None = None,
    seed: int = 0,
    with_gallery: bool = True,
    with_grouping: bool = True,
    provenance: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> ProductModel:
    """Learn a product model.

    Parameters
    ----------
    blocks : sequence of (n, n_dims) float32 arrays
        One a signal; a row of NaN where there is no evidence.
    labels : (n,) array
        The product of each image, strings or integers.
    sources : sequence of SignalSource
        One a block.
    details : Details, optional
        Details of the images; in classifying, they tell products of one brand apart.
    seed : int
        Seed of the partings; the same input gives the same model.
    with_gallery : bool
        Keep the photos' vectors, so that `cvsim.products.gallery.classify` can assign new ones.
    with_grouping : bool
        Learn how to group, which takes most of the time; without, the model groups by defaults.
    provenance : mapping, optional
        JSON values to keep in the model.
    progress : Progress, optional

    Returns
    -------
    ProductModel

    Raises
    ------
    UsageError
        There is a single product, none has two images, or the arrays differ in length.
    """
    names, codes = _checked(blocks, labels)
    if details is not None and len(details) != len(codes):
        raise UsageError(f"details of {len(details)} images were given for {len(codes)}")
    progress = progress or SilentProgress()
    folds = []
    with progress.task("Holding out products", 2 * N_REPEATS) as advance:
        for fold in _folds(blocks, codes, seed):
            folds.append(fold)
            advance(1)
    if with_grouping:
        weights, grouping, quality = _choose(folds, len(blocks), progress)
    else:
        weights = _weights(folds, len(blocks))
        grouping, quality = _default_grouping(), {}
    slope, prior = _pair_model(folds, weights)
    threshold, found = _pair_threshold(folds, weights, slope, prior)
    quality |= found
    signals = []
    with progress.task("Learning the metric", len(blocks)) as advance:
        for s, w, block in zip(sources, weights, blocks, strict=True):
            signals.append(Signal(s.name, s.version, dict(s.params), float(w), fit_metric(block, codes)))
            advance(1)
    gallery = None
    if with_gallery:
        gallery, right = fit_gallery(blocks, codes, names, signals, details, seed, progress)
        quality |= right
    about = {
        "made": datetime.now(UTC).strftime("%Y-%m-%d"),
        "n_images": len(codes),
        "n_products": len(names),
        "seed": seed,
        **(provenance or {}),
    }
    return ProductModel(tuple(signals), slope, prior, grouping, threshold, gallery, about, quality)


def _checked(blocks: Sequence[NDArray[np.float32]], labels: ArrayLike) -> tuple[tuple[str, ...], Indices]:
    names, codes = np.unique(np.asarray(labels), return_inverse=True)
    if not blocks:
        raise UsageError("at least one signal is needed to learn from")
    if any(len(block) != len(codes) for block in blocks):
        raise UsageError(f"{len(codes)} labels were given for {len(blocks[0])} images; each image needs one")
    if len(names) < 2:
        only = f" ({names[0]!s})" if len(names) else ""
        raise UsageError(f"all images have one label{only}: at least two products are needed to learn from")
    sizes = np.bincount(codes)
    if (sizes < 2).all():
        raise UsageError("every product has a single image: at least one needs two to learn from")
    if (sizes == 1).any():
        alone = ", ".join(str(name) for name in names[sizes == 1][:3])
        _log.warning(
            "%d of %d products have a single image (%s): it says nothing about how their photos differ",
            int((sizes == 1).sum()),
            len(names),
            alone,
        )
    return tuple(str(name) for name in names), codes.astype(np.int64)


def _folds(blocks: Sequence[NDArray[np.float32]], codes: Indices, seed: int) -> Iterator[_Fold]:
    """Held-out halves of the products; none where a half could not be learned from."""
    sizes = np.bincount(codes)
    rng = np.random.default_rng(seed)
    for _ in range(N_REPEATS):
        order = rng.permutation(len(sizes))
        half = np.zeros(len(sizes), bool)
        half[order[::2]] = True
        for side in (half, ~half):
            learn, held = _drawn(side, sizes, rng), _drawn(~side, sizes, rng)
            if (sizes[learn] >= 2).any() and len(held) >= 2 and (sizes[held] >= 2).any():
                yield _fold(blocks, codes, np.isin(codes, learn), np.isin(codes, held))


def _drawn(side: NDArray[np.bool_], sizes: Indices, rng: np.random.Generator) -> Indices:
    """Products of a side in random order, until they have `MAX_FOLD_IMAGES`."""
    products = rng.permutation(np.flatnonzero(side))
    before = np.cumsum(sizes[products]) - sizes[products]
    chosen: Indices = products[before < MAX_FOLD_IMAGES]
    return chosen


def _fold(
    blocks: Sequence[NDArray[np.float32]],
    codes: Indices,
    learn: NDArray[np.bool_],
    held: NDArray[np.bool_],
) -> _Fold:
    mapped = [fit_metric(block[learn], codes[learn])(block[held], recentre=True) for block in blocks]
    return _Fold(mapped, np.unique(codes[held], return_inverse=True)[1].astype(np.int64))


def _pairs(fold: _Fold, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Cosines by signal, (n_pairs, n_signals), and whether the pair is of one product; a random draw."""
    n = len(fold.codes)
    a, b = np.triu_indices(n, 1)
    if len(a) > MAX_PAIRS:
        drawn = rng.choice(len(a), MAX_PAIRS, replace=False)
        a, b = a[drawn], b[drawn]
    cosines = np.stack([np.einsum("nd,nd->n", m[a], m[b]) for m in fold.mapped], axis=1)
    return cosines.astype(np.float64), fold.codes[a] == fold.codes[b]


def _weights(folds: Sequence[_Fold], n_signals: int) -> NDArray[np.float64]:
    """What each signal is worth, summing to 1."""
    equal = np.full(n_signals, 1 / n_signals)
    if not folds or n_signals == 1:
        return equal
    rng = np.random.default_rng(0)
    parts = [_pairs(fold, rng) for fold in folds]
    cosines, same = np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])
    if same.all() or not same.any():
        return equal
    fitted = LogisticRegression(C=1e4, max_iter=1000).fit(cosines, same)
    worth = np.maximum(fitted.coef_[0], 0)
    return (worth / worth.sum() + equal) / 2 if worth.sum() > 0 else equal


def _pair_model(folds: Sequence[_Fold], weights: NDArray[np.float64]) -> tuple[float, float]:
    """(slope, prior) of the log-odds that two photos show one product, by their fused cosine."""
    rng = np.random.default_rng(0)
    parts = [_pairs(fold, rng) for fold in folds]
    if not parts:
        return 10.0, -5.0
    cosine = np.concatenate([p[0] for p in parts]) @ weights
    same = np.concatenate([p[1] for p in parts])
    if same.all() or not same.any():
        return 10.0, -5.0
    fitted = LogisticRegression(C=1e4, max_iter=1000).fit(cosine[:, None], same)
    return max(float(fitted.coef_[0, 0]), 1e-3), float(fitted.intercept_[0])


def _pair_threshold(
    folds: Sequence[_Fold], weights: NDArray[np.float64], slope: float, prior: float
) -> tuple[float, dict[str, Any]]:
    """The probability of a pair from which linking groups held-out products best, and what it reached.

    Besides, the share of the true pairs that are at least as probable as each of `RECALL_CUTOFFS`.
    """
    if not folds:
        return DEFAULT_PAIR_THRESHOLD, {}
    log_odds = np.log(PROBABILITIES / (1 - PROBABILITIES))
    cosines = np.clip((log_odds - prior) / slope, -1.0, 1.0)
    heights = np.sqrt(2 - 2 * cosines)
    curves, recalls = [], []
    for fold in folds:
        vectors = fused(fold.mapped, weights.tolist())
        curves.append(_Agreement.of(build_tree(vectors, "components"), fold.codes).ari(heights))
        recalls.append(_pair_recall(vectors, fold.codes, slope, prior))
    threshold, reached = _best_threshold(np.mean(curves, axis=0))
    shares = np.mean(recalls, axis=0)
    recall = {str(cutoff): round(float(shares[k]), 4) for k, cutoff in enumerate(RECALL_CUTOFFS)}
    return threshold, {"ari_of_links": round(reached, 4), "pair_recall": recall}


def _pair_recall(
    vectors: NDArray[np.float32], codes: Indices, slope: float, prior: float
) -> NDArray[np.float64]:
    """Share of the pairs of one product that are at least as probable as each of `RECALL_CUTOFFS`."""
    same = np.triu(codes[:, None] == codes[None, :], 1)
    log_odds = np.sort(prior + slope * (vectors @ vectors.T)[same].astype(np.float64))
    cutoffs = np.array(RECALL_CUTOFFS)
    below = np.searchsorted(log_odds, np.log(cutoffs / (1 - cutoffs)))
    shares: NDArray[np.float64] = 1 - below / max(1, len(log_odds))
    return shares


def _best_threshold(ari: NDArray[np.float64]) -> tuple[float, float]:
    """Choose a threshold by the ARI at each of `PROBABILITIES`, and give the ARI there.

    A mean over neighbours, for the top of a narrow spike is luck. Of those about as good the highest: two
    products taken for one cost more than one in two, and new ones may be harder to tell apart.
    """
    smooth = np.convolve(np.pad(ari, 2, mode="edge"), np.full(5, 0.2), mode="valid")
    threshold = float(PROBABILITIES[np.flatnonzero(smooth >= smooth.max() - TIE)[-1]])
    return threshold, float(np.interp(threshold, PROBABILITIES, ari))


def _candidate_weights(folds: Sequence[_Fold], n_signals: int) -> list[NDArray[np.float64]]:
    """Weights worth a trial: all signals, and each of them left out, so that one more never does harm."""
    every = _weights(folds, n_signals)
    if n_signals == 1 or not folds:
        return [every]
    found = [every]
    for left_out in range(n_signals):
        kept = np.arange(n_signals) != left_out
        part = [_Fold([m for m, k in zip(f.mapped, kept, strict=True) if k], f.codes) for f in folds]
        weights = np.zeros(n_signals)
        weights[kept] = _weights(part, n_signals - 1)
        found.append(weights)
    return found


def _choose(
    folds: Sequence[_Fold], n_signals: int, progress: Progress
) -> tuple[NDArray[np.float64], GroupingRule, dict[str, Any]]:
    """Weights and grouping that did best on held-out products; all signals where that is as good."""
    candidates = _candidate_weights(folds, n_signals)
    with progress.task("Trying how to group", len(candidates) * len(EVENING_POWERS) * len(TRIED)) as advance:
        found = [(weights, *_grouping(folds, weights, advance)) for weights in candidates]
    if len(found) == 1:
        return found[0]
    top = max(quality["ari"] for _, _, quality in found)
    return next(entry for entry in found if entry[2]["ari"] >= top - TIE)


@dataclass(frozen=True, eq=False)
class _GroupingTrial:
    """One way of grouping on all folds: mean ARI at each of `PROBABILITIES`."""

    method: str
    power: float
    curve: MergeCurve
    ari: NDArray[np.float64]
    best: float

    @property
    def threshold(self) -> float:
        return _best_threshold(self.ari)[0]

    @property
    def reached(self) -> float:
        return _best_threshold(self.ari)[1]


@dataclass(frozen=True, eq=False)
class _Agreement:
    """What each merge of a tree, by rising height, adds to the pairs that the answers have, and to all."""

    heights: NDArray[np.float64]
    same: NDArray[np.float64]
    pairs: NDArray[np.float64]
    n_true: int

    @classmethod
    def of(cls, tree: MergeTree, codes: Indices) -> _Agreement:
        sizes = np.bincount(codes)
        same, pairs = merge_agreement(tree, codes)
        order = np.argsort(tree.heights, kind="stable")
        n_true = int((sizes * (sizes - 1) // 2).sum())
        return cls(tree.heights[order], same[order], pairs[order], n_true)

    def ari(self, heights: NDArray[np.float64]) -> NDArray[np.float64]:
        """The Adjusted Rand Index of the tree cut at each height, without cutting it."""
        n = len(self.heights) + 1
        n_merges = np.searchsorted(self.heights, heights, side="right")
        both = np.concatenate([[0], np.cumsum(self.same)])[n_merges]
        predicted = np.concatenate([[0], np.cumsum(self.pairs)])[n_merges]
        found = zip(both.astype(int).tolist(), predicted.astype(int).tolist(), strict=True)
        return np.array([adjusted_rand_index(b, p, self.n_true, n * (n - 1) // 2) for b, p in found])


def _default_grouping() -> GroupingRule:
    thresholds = dict.fromkeys(TREES, DEFAULT_THRESHOLD)
    curves = {**dict.fromkeys(TREES, MergeCurve(0.0, -4.0)), "chance": CHANCE_CURVE}
    return GroupingRule(DEFAULT_METHOD, 0.0, thresholds, curves)


def _grouping(
    folds: Sequence[_Fold], weights: NDArray[np.float64], advance: Callable[[int], None]
) -> tuple[GroupingRule, dict[str, Any]]:
    """The best way of grouping, and what each reached on held-out products."""
    if not folds:
        note = "too few products for cross-validation; threshold and weights are defaults"
        return _default_grouping(), {"note": note}
    trials = []
    photos = float(np.median(np.concatenate([np.bincount(fold.codes) for fold in folds])))
    for power in EVENING_POWERS:
        vectors = [fused(even_out(fold.mapped, power), weights.tolist()) for fold in folds]
        for method in TRIED:
            trials.append(_trial(vectors, [fold.codes for fold in folds], method, power, near_enough(photos)))
            advance(1)
    top = max(trial.reached for trial in trials)
    best = next(trial for trial in trials if trial.reached >= top - TIE)
    chosen = {trial.method: trial for trial in trials if trial.power == best.power}
    grouping = GroupingRule(
        best.method,
        best.power,
        {**{method: trial.threshold for method, trial in chosen.items()}, "chance": DEFAULT_THRESHOLD},
        {**{method: trial.curve for method, trial in chosen.items()}, "chance": CHANCE_CURVE},
        photos,
    )
    return grouping, {
        "ari": round(best.reached, 4),
        "ari_at_best_thresholds": round(best.best, 4),
        "n_folds": len(folds),
        "methods": {f"{t.method}, power {t.power:g}": round(t.reached, 4) for t in trials},
    }


def _trial(
    vectors: Sequence[NDArray[np.float32]], codes: Sequence[Indices], method: str, power: float, n_near: int
) -> _GroupingTrial:
    trees = [build_tree(v, method, n_near) for v in vectors]
    agreements = [_Agreement.of(tree, c) for tree, c in zip(trees, codes, strict=True)]
    curve = _merge_curve(agreements)
    heights = np.array([curve.height(p) for p in PROBABILITIES])
    scores = np.array([agreement.ari(heights) for agreement in agreements])
    return _GroupingTrial(method, power, curve, scores.mean(axis=0), float(scores.max(axis=1).mean()))


def _merge_curve(agreements: Sequence[_Agreement]) -> MergeCurve:
    """How sure a merge is by its height. Each merge counts once, by the share of its pairs that agree."""
    heights = np.concatenate([agreement.heights for agreement in agreements])
    share = np.concatenate([agreement.same / agreement.pairs for agreement in agreements])
    x = np.log(np.maximum(heights, 1e-9))
    weight = np.concatenate([share, 1 - share])
    y = np.concatenate([np.ones(len(x)), np.zeros(len(x))])
    if weight[: len(x)].sum() <= 0 or weight[len(x) :].sum() <= 0:
        return MergeCurve(0.0, -4.0)
    fitted = LogisticRegression(C=1e4, max_iter=1000).fit(
        np.concatenate([x, x])[:, None], y, sample_weight=weight
    )
    return MergeCurve(float(fitted.intercept_[0]), min(float(fitted.coef_[0, 0]), -0.1))
