"""Assigning photos to known products, with "none of these" and a probability.

A photo belongs to the product whose photos it is nearest to. Whether it shows any known product at all is
another question, and one number does not answer it: a plain carton looks like many, a printed one like few.
A few facts are weighed (`evidence`): how near the photo is to its neighbours, held against how near those
are to theirs (the local outlier factor of Breunig et al., 2000, on cosines), and against how near they were
before anything was learned; how much nearer the product is than the next one; and how far the photo, laid
over a neighbour, shows the same print. The weights are learned on products that are left out of training for
the purpose, so they know what a stranger looks like.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from cvsim.arrays import sigmoid
from cvsim.errors import UsageError
from cvsim.products.details import Details
from cvsim.products.metric import fit_metric, has_evidence, normalised
from cvsim.products.model import Gallery, ProductModel, Signal, fused, n_facts, plain_vectors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.progress import Progress
    from cvsim.types import Indices

N_NEAREST = 5
N_COMPARED = 15
"""How many of the nearest photos are compared in detail.

This, the facts that are looked at and the rounds below were chosen on the catalogue and on draws of the
cartons with seeds 200 to 259 (``benchmarks/products.md``).
"""
KNOWN_REJECTED = 0.05
"""The share of photos of known products that the answer "none of these" may cost; a choice, not a fit."""
N_GALLERY_ROUNDS = 12
LEARNED_SHARE = 0.9
"""The share of a round's photos that are learned; the calibration should see nearly the gallery to be
used."""
MAX_CALIBRATION_IMAGES = 2000
MAX_HELD_OUT = 120
"""How many known photos, and how many strangers, a round looks at."""
REGULARISATION = 1.0
"""The inverse strength on facts of unit variance, as in scikit-learn; there are few strangers to learn
from."""
TEMPERATURES = np.geomspace(0.01, 0.3, 25)
DEFAULT_TEMPERATURE = 0.05
DEFAULT_WEIGHT = 20.0
"""The weight of the density of the fused vectors when there is nothing to learn the weights from."""
ASSIGNED_LOG_ODDS = 4.0
"""That a photo shows one of the groups which nobody named, where it is as near as their photos are."""
_CHUNK_ROWS = 2048


@dataclass(frozen=True, eq=False)
class Assignment:
    """The products that photos were assigned to.

    Attributes
    ----------
    codes : (n,) int64
        Position in the gallery's labels; -1 is none of these.
    probability : (n,) float64
        Probability of the label given; for -1, that it is none of these.
    products : (n, n_labels) float64
        Probability of each known product. A row sums to the probability that the photo shows any.
    """

    codes: Indices
    probability: NDArray[np.float64]
    products: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PhotoVectors:
    """What is known of n photos.

    Attributes
    ----------
    vectors : (n, n_dims) float32
        Fused.
    plain : (n, n_plain) float16 or float32
        See `cvsim.products.model.plain_vectors`.
    details : Details or None
        None where only vectors are known.
    """

    vectors: NDArray[np.float32]
    plain: NDArray[Any]
    details: Details | None

    def take(self, chosen: NDArray[np.bool_]) -> PhotoVectors:
        """Those of some of the photos."""
        details = None if self.details is None else self.details.take(chosen)
        return PhotoVectors(self.vectors[chosen], self.plain[chosen], details)


@dataclass(frozen=True, eq=False)
class Photos:
    """Labelled photos that others are held against.

    Attributes
    ----------
    looks : PhotoVectors
    codes : (n,) int64
    widths : tuple of int
        Dimensions of each signal.
    density : (n, 1 + 2 * n_signals) float64
        Mean cosine of each photo with the `N_NEAREST` nearest others by the fused vectors, then by each
        signal with the nearest one and with the `N_NEAREST` nearest.
    """

    looks: PhotoVectors
    codes: Indices
    widths: tuple[int, ...]
    density: NDArray[np.float64]

    @classmethod
    def of(cls, looks: PhotoVectors, codes: Indices, widths: Sequence[int]) -> Photos:
        """Measure how densely the space around each photo is filled."""
        spaces = _spaces(looks.vectors, widths)
        density = [_neighbours(space, space, n, own=True)[1].mean(axis=1) for space, n in spaces]
        return cls(looks, codes, tuple(widths), np.stack(density, axis=1).astype(np.float64))


def classify(
    model: ProductModel, blocks: Sequence[NDArray[np.float32]], details: Details | None = None
) -> Assignment:
    """Assign photos to the products of a trained model.

    Parameters
    ----------
    model : ProductModel
    blocks : sequence of (n, n_dims) float32 arrays
        One a signal.
    details : Details, optional
        Details of the photos; needed if the model was trained with details.

    Raises
    ------
    UsageError
        The model knows no products, or it needs details and there are none.
    """
    gallery, facts, near = evidence_of(model, blocks, details)
    known = sigmoid(facts @ gallery.weights + gallery.intercept)
    known[~has_evidence(blocks)] = 0.0
    products = known[:, None] * _shares(near, gallery.temperature)
    codes = np.where(known >= gallery.rejection, near.argmax(axis=1), -1)
    given = products[np.arange(len(codes)), np.maximum(codes, 0)]
    return Assignment(codes.astype(np.int64), np.where(codes >= 0, given, 1 - known), products)


def evidence_of(
    model: ProductModel, blocks: Sequence[NDArray[np.float32]], details: Details | None = None
) -> tuple[Gallery, NDArray[np.float64], NDArray[np.float64]]:
    """The products that a model knows, and `evidence` of photos for them; see `classify`."""
    gallery = model.gallery
    if gallery is None:
        raise UsageError("this profile knows no products; make one with cvsim train")
    if gallery.details is not None and details is None:
        raise UsageError("this profile was trained with details of its photos, and needs those of new ones")
    widths = tuple(signal.map.projection.shape[1] for signal in model.signals)
    learned = PhotoVectors(gallery.vectors.astype(np.float32), gallery.plain, gallery.details)
    photos = Photos(learned, gallery.codes, widths, gallery.density)
    looks = PhotoVectors(model.fuse(blocks), model.fuse_plain(blocks), details)
    return (gallery, *evidence(looks, photos))


def nearness(
    vectors: NDArray[np.float32], gallery: NDArray[np.float32], codes: Indices
) -> NDArray[np.float64]:
    """(n, n_products) mean cosine with each product's `N_NEAREST` nearest photos."""
    found = np.empty((len(vectors), int(codes.max()) + 1))
    members = [np.flatnonzero(codes == code) for code in range(found.shape[1])]
    for start in range(0, len(vectors), _CHUNK_ROWS):
        rows = slice(start, start + _CHUNK_ROWS)
        cosines = vectors[rows] @ gallery.T
        for code, columns in enumerate(members):
            found[rows, code] = _largest(cosines[:, columns], N_NEAREST).mean(axis=1)
    return found


def _largest(cosines: NDArray[np.float32], n: int) -> NDArray[np.float32]:
    """The `n` largest of each row, or all of them, in any order."""
    k = min(n, cosines.shape[1])
    return np.partition(cosines, cosines.shape[1] - k, axis=1)[:, cosines.shape[1] - k :]


def _neighbours(
    vectors: NDArray[np.float32], gallery: NDArray[np.float32], n: int, *, own: bool = False
) -> tuple[Indices, NDArray[np.float32]]:
    """(n_vectors, k) positions of the nearest photos, in any order, and their cosines; k is `n` or all.

    With `own` the vectors are the gallery, and none is its own neighbour.
    """
    k = min(n, max(1, len(gallery) - own))
    nearest = np.empty((len(vectors), k), np.int64)
    cosine = np.empty((len(vectors), k), np.float32)
    for start in range(0, len(vectors), _CHUNK_ROWS):
        rows = slice(start, start + _CHUNK_ROWS)
        found = vectors[rows] @ gallery.T
        if own:
            found[np.arange(len(found)), np.arange(start, start + len(found))] = -1.0
        nearest[rows] = np.argpartition(found, len(gallery) - k, axis=1)[:, len(gallery) - k :]
        cosine[rows] = np.take_along_axis(found, nearest[rows], axis=1)
    return nearest, cosine


def _spaces(vectors: NDArray[np.float32], widths: Sequence[int]) -> list[tuple[NDArray[np.float32], int]]:
    """List the spaces in which neighbours are sought, and how many: all signals, then each by itself."""
    ends = np.cumsum(widths)
    parts = [normalised(vectors[:, end - width : end]) for end, width in zip(ends, widths, strict=True)]
    return [(vectors, N_NEAREST), *((part, n) for part in parts for n in (1, N_NEAREST))]


def evidence(looks: PhotoVectors, photos: Photos) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What speaks for and against each photo showing any of the products.

    Returns
    -------
    facts : (n, n_facts) float64
        Mean cosine with the nearest photos, less the mean density of those, of as many and by the same
        vectors as in `Photos.density`. How much nearer the nearest product is than the next. The mean plain
        cosine with the `N_COMPARED` nearest photos: what is like everything, as a photo without much on it
        is, must be nearer to be known. `likeness` with the most alike of them, 0 where details are not known.
    near : (n, n_products) float64
        See `nearness`.
    """
    learned = photos.looks
    spaces = zip(
        _spaces(looks.vectors, photos.widths),
        _spaces(learned.vectors, photos.widths),
        photos.density.T,
        strict=True,
    )
    facts = []
    for (of_looks, n), (of_learned, _), density in spaces:
        nearest, cosine = _neighbours(of_looks, of_learned, n)
        facts.append(cosine.mean(axis=1) - density[nearest].mean(axis=1))
    near = nearness(looks.vectors, learned.vectors, photos.codes)
    compared, _ = _neighbours(looks.vectors, learned.vectors, N_COMPARED)
    facts += [_lead(near), _plain_nearness(looks, learned, compared), _detail(looks, learned, compared)]
    return np.stack(facts, axis=1), near


def _plain_nearness(looks: PhotoVectors, learned: PhotoVectors, nearest: Indices) -> NDArray[np.float64]:
    """(n,) mean cosine with the nearest photos before anything was learned."""
    found = (
        float((learned.plain[near].astype(np.float32) @ vector).mean())
        for vector, near in zip(looks.plain.astype(np.float32), nearest, strict=True)
    )
    return np.fromiter(found, np.float64, len(nearest))


def _detail(looks: PhotoVectors, learned: PhotoVectors, nearest: Indices) -> NDArray[np.float64]:
    """(n,) how alike in print the most alike of the nearest photos is."""
    if looks.details is None or learned.details is None:
        return np.zeros(len(nearest))
    return looks.details.most_alike(learned.details, nearest)


def _lead(near: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) how much nearer the nearest product is than the next."""
    if near.shape[1] < 2:
        return np.zeros(len(near))
    two = np.sort(near, axis=1)[:, -2:]
    return two[:, 1] - two[:, 0]


def _shares(cosines: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """(n, p) softmax: the probability of each product, were there no others."""
    logits = cosines / temperature
    share = np.exp(logits - logits.max(axis=1, keepdims=True))
    normed: NDArray[np.float64] = share / share.sum(axis=1, keepdims=True)
    return normed


def fit_gallery(
    blocks: Sequence[NDArray[np.float32]],
    codes: Indices,
    labels: Sequence[str],
    signals: Sequence[Signal],
    details: Details | None,
    seed: int,
    progress: Progress,
) -> tuple[Gallery, dict[str, float]]:
    """The gallery of all training photos, with its calibration, and how often it is right.

    That is ``accuracy_training``, on the very photos that it holds, and ``accuracy_held_out``, on photos of
    known products that were held out; the latter is missing where there were none.
    """
    weights = [signal.weight for signal in signals]
    vectors = fused([s.map(block) for s, block in zip(signals, blocks, strict=True)], weights)
    widths = [signal.map.projection.shape[1] for signal in signals]
    looks = PhotoVectors(vectors, plain_vectors(blocks, weights).astype(np.float16), details)
    trial = _GalleryTrial.of(blocks, codes, weights, details, seed, progress)
    photos = Photos.of(looks, codes, widths)
    fact_weights, intercept, rejection = _calibrated(trial, n_facts(len(signals)))
    right = {"accuracy_training": _accuracy([nearness(vectors, vectors, codes)], [codes])}
    if trial.mean:
        right["accuracy_held_out"] = _accuracy(trial.mean, trial.truth)
    gallery = Gallery(
        labels=tuple(labels),
        vectors=vectors.astype(np.float16),
        codes=codes,
        plain=looks.plain,
        density=photos.density,
        weights=fact_weights,
        intercept=intercept,
        temperature=_temperature(trial),
        rejection=rejection,
        details=details,
    )
    return gallery, right


def _accuracy(near: Sequence[NDArray[np.float64]], truth: Sequence[Indices]) -> float:
    """Share of photos whose nearest product is their own."""
    right = [part.argmax(axis=1) == own for part, own in zip(near, truth, strict=True)]
    return round(float(np.concatenate(right).mean()), 4)


def gallery_of_groups(model: ProductModel, blocks: Sequence[NDArray[np.float32]], labels: Indices) -> Gallery:
    """A gallery of groups that nobody named: a new photo belongs to the one whose photos it is nearest to.

    Nothing is learned of strangers, so that none is rejected but photos without evidence.

    Parameters
    ----------
    model : ProductModel
    blocks : sequence of (n, n_dims) float32 arrays
    labels : (n,) int64
        From 0; each is its own name.
    """
    vectors, plain = model.fuse(blocks), model.fuse_plain(blocks).astype(np.float16)
    widths = [signal.map.projection.shape[1] for signal in model.signals]
    photos = Photos.of(PhotoVectors(vectors, plain, None), labels, widths)
    weights = np.zeros(n_facts(len(model.signals)))
    weights[0] = DEFAULT_WEIGHT
    return Gallery(
        labels=tuple(map(str, range(int(labels.max()) + 1))),
        vectors=vectors.astype(np.float16),
        codes=labels,
        plain=plain,
        density=photos.density,
        weights=weights,
        intercept=ASSIGNED_LOG_ODDS,
        temperature=DEFAULT_TEMPERATURE,
        rejection=np.finfo(np.float64).tiny,
    )


@dataclass(frozen=True, eq=False)
class _GalleryTrial:
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
        details: Details | None,
        seed: int,
        progress: Progress,
    ) -> _GalleryTrial:
        rng = np.random.default_rng(seed)
        chosen = rng.permutation(len(codes))[:MAX_CALIBRATION_IMAGES]
        blocks, codes = [block[chosen] for block in blocks], codes[chosen]
        details = None if details is None else details.take(chosen)
        plain = plain_vectors(blocks, weights)
        known: list[NDArray[np.float64]] = []
        strange: list[NDArray[np.float64]] = []
        means: list[NDArray[np.float64]] = []
        truth: list[Indices] = []
        with progress.task("Learning what strangers look like", N_GALLERY_ROUNDS) as advance:
            for learn, test, left_out in _rounds(codes, rng):
                maps = [fit_metric(block[learn], codes[learn]) for block in blocks]
                vectors = fused([m(block) for m, block in zip(maps, blocks, strict=True)], weights)
                looks = PhotoVectors(vectors, plain, details)
                products, own = np.unique(codes[learn], return_inverse=True)
                widths = [m.projection.shape[1] for m in maps]
                photos = Photos.of(looks.take(learn), own, widths)
                if test.any():
                    facts, near = evidence(looks.take(test), photos)
                    known.append(facts)
                    means.append(near)
                    truth.append(np.searchsorted(products, codes[test]))
                if left_out.any():
                    strange.append(evidence(looks.take(left_out), photos)[0])
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
    turn = rng.permutation(int(codes.max()) + 1) % N_GALLERY_ROUNDS
    for i in range(N_GALLERY_ROUNDS):
        left_out = turn[codes] == i
        learn = ~left_out & (rng.random(len(codes)) < LEARNED_SHARE)
        test = ~left_out & ~learn & np.isin(codes, codes[learn])
        if len(np.unique(codes[learn])) >= 2 and (np.bincount(codes[learn]) >= 2).any():
            yield learn, _some(test, rng), _some(left_out, rng)


def _some(rows: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
    """The rows, or `MAX_HELD_OUT` of them where there are more."""
    chosen = np.flatnonzero(rows)
    if len(chosen) <= MAX_HELD_OUT:
        return rows
    found = np.zeros_like(rows)
    found[rng.choice(chosen, MAX_HELD_OUT, replace=False)] = True
    return found


def _calibrated(trial: _GalleryTrial, n: int) -> tuple[NDArray[np.float64], float, float]:
    """(weights, intercept, rejection): log-odds by the facts, and what `KNOWN_REJECTED` of the known miss.

    Without strangers or known photos to learn from, nearness alone decides.
    """
    if trial.known is None or trial.strange is None:
        weights = np.zeros(n)
        weights[0] = DEFAULT_WEIGHT
        if trial.known is None:
            return weights, 0.0, 0.0
        return weights, 0.0, float(sigmoid(np.quantile(trial.known @ weights, KNOWN_REJECTED)))
    facts = np.concatenate([trial.known, trial.strange])
    is_known = np.repeat([1, 0], [len(trial.known), len(trial.strange)])
    mean, scale = facts.mean(axis=0), np.maximum(facts.std(axis=0), 1e-6)
    fitted = LogisticRegression(C=REGULARISATION, class_weight="balanced", max_iter=2000)
    fitted.fit((facts - mean) / scale, is_known)
    weights = fitted.coef_[0] / scale
    intercept = float(fitted.intercept_[0] - mean @ weights)
    known = sigmoid(trial.known @ weights + intercept)
    return weights, intercept, float(np.quantile(known, KNOWN_REJECTED))


def _temperature(trial: _GalleryTrial) -> float:
    """Find the temperature of the softmax that makes the right products of held-out photos most likely."""
    if not trial.mean:
        return DEFAULT_TEMPERATURE

    def surprise(temperature: float) -> float:
        parts = [
            np.log(_shares(mean, temperature)[np.arange(len(truth)), truth] + 1e-12)
            for mean, truth in zip(trial.mean, trial.truth, strict=True)
        ]
        return -float(np.concatenate(parts).mean())

    return float(min(TEMPERATURES, key=surprise))
