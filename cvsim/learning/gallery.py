"""Assigning photos to known products, with "none of these" and a probability.

A photo belongs to the product whose photos it is nearest to. Whether it shows any known product at all is
another question, and one number does not answer it: a plain carton looks like many, a printed one like few.
Several facts are weighed (`evidence`): how near, how much nearer than to the next product, and both held
against what the product's own photos reach among themselves. The weights are learned on products that are
left out of training for the purpose, so they know what a stranger looks like.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from cvsim.errors import UsageError
from cvsim.learning.metric import fit_metric, has_evidence, normalised
from cvsim.learning.model import Gallery, ProductModel, Signal, fused

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.progress import Progress
    from cvsim.types import Indices

N_NEAREST = 5
FLOOR_QUANTILE = 0.05
KNOWN_REJECTED = 0.05
"""Share of photos of known products that "none of these" may cost."""
N_ROUNDS = 6
LEARNED_SHARE = 0.9
"""Of a round's photos: the calibration should see nearly the gallery that will be used."""
MAX_CALIBRATION_IMAGES = 2000
REGULARISATION = 0.1
"""Inverse strength, on facts of unit variance: few strangers, many facts."""
TEMPERATURES = np.geomspace(0.01, 0.3, 25)
DEFAULT_TEMPERATURE = 0.05
_CHUNK = 2048


@dataclass(frozen=True, eq=False)
class Assignment:
    """Where photos belong.

    Attributes
    ----------
    codes : (n,) int64
        Position in the gallery's labels; -1 is none of these.
    probability : (n,) float64
        Of the label given; for -1, that it is none of these.
    products : (n, n_labels) float64
        Probability of each known product. A row sums to the probability that the photo shows any.
    """

    codes: Indices
    probability: NDArray[np.float64]
    products: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Nearness:
    """Cosines of n photos with p products.

    Attributes
    ----------
    first, mean : (n, p) float64
        With the product's nearest photo, and the mean over its `N_NEAREST` nearest.
    centre : (n, p) float64
        With the mean of the product's photos.
    neighbour : (n, p) int64
        The nearest photo's row in the gallery.
    """

    first: NDArray[np.float64]
    mean: NDArray[np.float64]
    centre: NDArray[np.float64]
    neighbour: Indices

    @property
    def best(self) -> Indices:
        """(n,) the product that each photo is nearest to."""
        return self.mean.argmax(axis=1)


@dataclass(frozen=True, eq=False)
class Photos:
    """Labelled photos that others are held against.

    Attributes
    ----------
    vectors : (n, n_dims) float32
        Fused.
    codes : (n,) int64
    widths : tuple of int
        Dimensions of each signal.
    floors : (n_products, 2) float64
        Mean and centre cosine that nearly all photos of a product reach with its others.
    crowding : (n,) float64
        Cosine of each photo with the nearest other one of its product.
    """

    vectors: NDArray[np.float32]
    codes: Indices
    widths: tuple[int, ...]
    floors: NDArray[np.float64]
    crowding: NDArray[np.float64]

    @classmethod
    def of(cls, vectors: NDArray[np.float32], codes: Indices, widths: Sequence[int]) -> Photos:
        among = nearness(vectors, vectors, codes, own=True)
        rows = np.arange(len(codes))
        mean, centre = among.mean[rows, codes], among.centre[rows, codes]
        floors = [
            [np.quantile(values[codes == code], FLOOR_QUANTILE) for values in (mean, centre)]
            for code in range(int(codes.max()) + 1)
        ]
        return cls(vectors, codes, tuple(widths), np.array(floors), among.first[rows, codes])


def classify(model: ProductModel, blocks: Sequence[NDArray[np.float32]]) -> Assignment:
    """Assign photos, given as one (n, n_dims) block a signal, to the products of a trained model.

    Raises
    ------
    UsageError
        The model knows no products.
    """
    if model.gallery is None:
        raise UsageError("this profile knows no products; make one with cvsim train")
    gallery = model.gallery
    widths = tuple(signal.map.projection.shape[1] for signal in model.signals)
    photos = Photos(
        gallery.vectors.astype(np.float32), gallery.codes, widths, gallery.floors, gallery.crowding
    )
    facts, near = evidence(model.fuse(blocks), photos)
    known = _sigmoid(facts @ gallery.weights + gallery.intercept)
    known[~has_evidence(blocks)] = 0.0
    products = known[:, None] * _shares(near.mean, gallery.temperature)
    codes = np.where(known >= gallery.rejection, near.best, -1)
    given = products[np.arange(len(codes)), np.maximum(codes, 0)]
    return Assignment(codes.astype(np.int64), np.where(codes >= 0, given, 1 - known), products)


def nearness(
    vectors: NDArray[np.float32], gallery: NDArray[np.float32], codes: Indices, *, own: bool = False
) -> Nearness:
    """Cosines with each product's photos; with `own` the vectors are the gallery, and none meets itself."""
    shape = len(vectors), int(codes.max()) + 1
    first, mean, neighbour = np.empty(shape), np.empty(shape), np.empty(shape, np.int64)
    members = [np.flatnonzero(codes == code) for code in range(shape[1])]
    for start in range(0, len(vectors), _CHUNK):
        rows = slice(start, start + _CHUNK)
        cosines = vectors[rows] @ gallery.T
        if own:
            cosines[np.arange(len(cosines)), np.arange(start, start + len(cosines))] = -1.0
        for code, columns in enumerate(members):
            k = min(N_NEAREST, max(1, len(columns) - own))
            part = cosines[:, columns]
            mean[rows, code] = np.partition(part, len(columns) - k, axis=1)[:, len(columns) - k :].mean(
                axis=1
            )
            neighbour[rows, code] = columns[part.argmax(axis=1)]
            first[rows, code] = part.max(axis=1)
    return Nearness(first, mean, _centre_cosines(vectors, gallery, codes, own), neighbour)


def _centre_cosines(
    vectors: NDArray[np.float32], gallery: NDArray[np.float32], codes: Indices, own: bool
) -> NDArray[np.float64]:
    sums = np.zeros((int(codes.max()) + 1, gallery.shape[1]), np.float64)
    np.add.at(sums, codes, gallery)
    found = vectors @ _unit(sums).T
    if own:
        without = _unit(sums[codes] - gallery)  # a photo must not pull its product's centre towards itself
        found[np.arange(len(codes)), codes] = np.einsum("nd,nd->n", vectors, without)
    return found


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def evidence(vectors: NDArray[np.float32], photos: Photos) -> tuple[NDArray[np.float64], Nearness]:
    """What speaks for and against each photo showing any of the products.

    Returns
    -------
    facts : (n, 9 + 3 * n_signals) float64
        Of the nearest product: cosine with its nearest photo, its nearest few and its centre; the latter two
        over the product's floors, and over the next product's; the first over what that photo has with its
        own nearest, and the certainty of the choice. Then of each signal: nearest, nearest few, lead.
    near : Nearness
    """
    near = nearness(vectors, photos.vectors, photos.codes)
    rows, best = np.arange(len(vectors)), near.best
    first, mean, centre = (values[rows, best] for values in (near.first, near.mean, near.centre))
    over = np.stack([mean, centre], axis=1) - photos.floors[best]
    crowding = first - photos.crowding[near.neighbour[rows, best]]
    share = _shares(near.mean, DEFAULT_TEMPERATURE)
    certainty = (share * np.log(share + 1e-9)).sum(axis=1)
    leads = [_lead(values, best) for values in (near.mean, near.centre)]
    facts = [first, mean, centre, *over.T, *leads, crowding, certainty]
    ends = np.cumsum(photos.widths)
    for end, width in zip(ends, photos.widths, strict=True):
        part = slice(end - width, end)
        alone = nearness(normalised(vectors[:, part]), normalised(photos.vectors[:, part]), photos.codes)
        facts += [alone.first[rows, best], alone.mean[rows, best], _lead(alone.mean, best)]
    return np.stack(facts, axis=1), near


def _lead(cosines: NDArray[np.float64], best: Indices) -> NDArray[np.float64]:
    """(n,) how much nearer the chosen product is than the nearest other one."""
    rows = np.arange(len(best))
    others = cosines.copy()
    others[rows, best] = -1.0
    return cosines[rows, best] - others.max(axis=1)


def _shares(cosines: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """(n, p) softmax: the probability of each product, were there no others."""
    logits = cosines / temperature
    share = np.exp(logits - logits.max(axis=1, keepdims=True))
    return share / share.sum(axis=1, keepdims=True)


def fit_gallery(
    blocks: Sequence[NDArray[np.float32]],
    codes: Indices,
    labels: Sequence[str],
    signals: Sequence[Signal],
    seed: int,
    progress: Progress,
) -> Gallery:
    """The gallery of all training photos, with its calibration."""
    weights = [signal.weight for signal in signals]
    vectors = fused([s.map(block) for s, block in zip(signals, blocks, strict=True)], weights)
    widths = [signal.map.projection.shape[1] for signal in signals]
    trial = _Trial.of(blocks, codes, weights, seed, progress)
    photos = Photos.of(vectors, codes, widths)
    fact_weights, intercept, rejection = _calibrated(trial, 9 + 3 * len(signals))
    return Gallery(
        labels=tuple(labels),
        vectors=vectors.astype(np.float16),
        codes=codes,
        floors=photos.floors,
        crowding=photos.crowding,
        weights=fact_weights,
        intercept=intercept,
        temperature=_temperature(trial),
        rejection=rejection,
    )


@dataclass(frozen=True, eq=False)
class _Trial:
    """What was seen of held-out photos: facts of known ones and of strangers, and how right the choice was.

    Attributes
    ----------
    known, strange : (n, n_facts) float64, or None where there were none
    mean : list of (n, n_products) float64
        Cosines of the known ones, by round.
    truth : list of (n,) int64
        Their products' columns.
    """

    known: NDArray[np.float64] | None
    strange: NDArray[np.float64] | None
    mean: list[NDArray[np.float64]]
    truth: list[Indices]

    @classmethod
    def of(
        cls,
        blocks: Sequence[NDArray[np.float32]],
        codes: Indices,
        weights: Sequence[float],
        seed: int,
        progress: Progress,
    ) -> _Trial:
        rng = np.random.default_rng(seed)
        chosen = rng.permutation(len(codes))[:MAX_CALIBRATION_IMAGES]
        blocks, codes = [block[chosen] for block in blocks], codes[chosen]
        known: list[NDArray[np.float64]] = []
        strange: list[NDArray[np.float64]] = []
        means: list[NDArray[np.float64]] = []
        truth: list[Indices] = []
        with progress.task("Learning what strangers look like", N_ROUNDS) as advance:
            for learn, test, left_out in _rounds(codes, rng):
                maps = [fit_metric(block[learn], codes[learn]) for block in blocks]
                x = fused([m(block) for m, block in zip(maps, blocks, strict=True)], weights)
                products, own = np.unique(codes[learn], return_inverse=True)
                photos = Photos.of(x[learn], own, [m.projection.shape[1] for m in maps])
                if test.any():
                    facts, near = evidence(x[test], photos)
                    known.append(facts)
                    means.append(near.mean)
                    truth.append(np.searchsorted(products, codes[test]))
                if left_out.any():
                    strange.append(evidence(x[left_out], photos)[0])
                advance(1)
        return cls(
            np.concatenate(known) if known else None,
            np.concatenate(strange) if strange else None,
            means,
            truth,
        )


_Rows = tuple["NDArray[np.bool_]", "NDArray[np.bool_]", "NDArray[np.bool_]"]


def _rounds(codes: Indices, rng: np.random.Generator) -> Iterator[_Rows]:
    """(learn, test, left out) of each round. Each product is left out once: a part of them, in turn."""
    turn = rng.permutation(int(codes.max()) + 1) % N_ROUNDS
    for i in range(N_ROUNDS):
        left_out = turn[codes] == i
        learn = ~left_out & (rng.random(len(codes)) < LEARNED_SHARE)
        test = ~left_out & ~learn & np.isin(codes, codes[learn])
        if len(np.unique(codes[learn])) >= 2 and (np.bincount(codes[learn]) >= 2).any():
            yield learn, test, left_out


def _calibrated(trial: _Trial, n_facts: int) -> tuple[NDArray[np.float64], float, float]:
    """(weights, intercept, rejection): log-odds by the facts, and what `KNOWN_REJECTED` of the known miss.

    Without strangers or known photos to learn from, nearness alone decides.
    """
    if trial.known is None or trial.strange is None:
        weights = np.zeros(n_facts)
        weights[1] = 20.0
        if trial.known is None:
            return weights, 0.0, 0.0
        return weights, 0.0, float(_sigmoid(np.quantile(trial.known @ weights, KNOWN_REJECTED)))
    facts = np.concatenate([trial.known, trial.strange])
    is_known = np.repeat([1, 0], [len(trial.known), len(trial.strange)])
    mean, scale = facts.mean(axis=0), np.maximum(facts.std(axis=0), 1e-6)
    fitted = LogisticRegression(C=REGULARISATION, class_weight="balanced", max_iter=2000)
    fitted.fit((facts - mean) / scale, is_known)
    weights = fitted.coef_[0] / scale
    intercept = float(fitted.intercept_[0] - mean @ weights)
    known = _sigmoid(trial.known @ weights + intercept)
    return weights, intercept, float(np.quantile(known, KNOWN_REJECTED))


def _temperature(trial: _Trial) -> float:
    """Of the softmax over products, that which makes the right products of held-out photos most likely."""
    if not trial.mean:
        return DEFAULT_TEMPERATURE

    def surprise(temperature: float) -> float:
        parts = [
            np.log(_shares(mean, temperature)[np.arange(len(truth)), truth] + 1e-12)
            for mean, truth in zip(trial.mean, trial.truth, strict=True)
        ]
        return -float(np.concatenate(parts).mean())

    return float(min(TEMPERATURES, key=surprise))


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-np.clip(x, -700, 700)))
