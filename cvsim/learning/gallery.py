"""Assigning photos to known products, with "none of these" and a probability.

A photo's similarity to a product is the mean of its largest cosines with that product's photos. What counts
as similar differs between products (a plain carton looks like many, a printed one like few), so it is
held against what the product's own photos reach among themselves. How sure a photo is to show any known
product at all is calibrated on products that are left out of training for the purpose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from cvsim.errors import UsageError
from cvsim.learning.metric import fit_metric, has_evidence
from cvsim.learning.model import Gallery, ProductModel, Signal, fused

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.types import Indices

N_NEAREST = 5
FLOOR_QUANTILE = 0.05
KNOWN_REJECTED = 0.05
"""Share of photos of known products that "none of these" may cost."""
N_ROUNDS = 6
LEARNED_SHARE = 0.9
"""Of a round's photos: the calibration should see nearly the gallery that will be used."""
MAX_CALIBRATION_IMAGES = 4000
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
    vectors = model.fuse(blocks)
    similarity = product_similarities(vectors, gallery.vectors.astype(np.float32), gallery.codes)
    excess = similarity - gallery.floors
    known = _sigmoid(
        gallery.scale * excess[np.arange(len(vectors)), similarity.argmax(axis=1)] + gallery.intercept
    )
    known[~has_evidence(blocks)] = 0.0
    logits = similarity / gallery.temperature
    share = np.exp(logits - logits.max(axis=1, keepdims=True))
    products = known[:, None] * share / share.sum(axis=1, keepdims=True)
    codes = np.where(known >= gallery.rejection, similarity.argmax(axis=1), -1)
    given = products[np.arange(len(codes)), np.maximum(codes, 0)]
    return Assignment(codes.astype(np.int64), np.where(codes >= 0, given, 1 - known), products)


def product_similarities(
    vectors: NDArray[np.float32], gallery: NDArray[np.float32], codes: Indices, *, own: bool = False
) -> NDArray[np.float64]:
    """(n, n_products) mean of the largest cosines with each product's photos.

    With `own` the vectors are the gallery itself, and a photo is not compared with itself.
    """
    found = np.empty((len(vectors), int(codes.max()) + 1))
    members = [np.flatnonzero(codes == code) for code in range(found.shape[1])]
    for start in range(0, len(vectors), _CHUNK):
        rows = slice(start, start + _CHUNK)
        cosines = vectors[rows] @ gallery.T
        if own:
            cosines[np.arange(len(cosines)), np.arange(start, start + len(cosines))] = -1.0
        for code, columns in enumerate(members):
            k = min(N_NEAREST, max(1, len(columns) - own))
            nearest = np.partition(cosines[:, columns], len(columns) - k, axis=1)[:, len(columns) - k :]
            found[rows, code] = nearest.mean(axis=1)
    return found


def fit_gallery(
    blocks: Sequence[NDArray[np.float32]],
    codes: Indices,
    labels: Sequence[str],
    signals: Sequence[Signal],
    seed: int,
) -> Gallery:
    """The gallery of all training photos, with its calibration."""
    weights = [signal.weight for signal in signals]
    vectors = fused([s.map(block) for s, block in zip(signals, blocks, strict=True)], weights)
    known, unknown = _held_out_excess(blocks, codes, weights, seed)
    scale, intercept, rejection = _calibrated(known, unknown)
    return Gallery(
        tuple(labels),
        vectors.astype(np.float16),
        codes,
        _floors(vectors, codes),
        scale,
        intercept,
        DEFAULT_TEMPERATURE,
        rejection,
    )


def _floors(vectors: NDArray[np.float32], codes: Indices) -> NDArray[np.float64]:
    """(n_products,) what nearly all photos of a product reach with its others.

    That of a single photo is unknown; the mean of the others stands in.
    """
    own = product_similarities(vectors, vectors, codes, own=True)[np.arange(len(codes)), codes]
    sizes = np.bincount(codes)
    floors = np.array(
        [np.quantile(own[codes == c], FLOOR_QUANTILE) if n > 1 else np.nan for c, n in enumerate(sizes)]
    )
    return np.where(np.isnan(floors), np.nanmean(floors) if np.isfinite(floors).any() else 0.0, floors)


def _held_out_excess(
    blocks: Sequence[NDArray[np.float32]], codes: Indices, weights: Sequence[float], seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Excess over the floor of photos of known products, and of products that were left out."""
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(codes))[:MAX_CALIBRATION_IMAGES]
    blocks, codes = [block[chosen] for block in blocks], codes[chosen]
    n_products = int(codes.max()) + 1
    known: list[NDArray[np.float64]] = [np.zeros(0)]
    unknown: list[NDArray[np.float64]] = [np.zeros(0)]
    # Each product is left out once: in every round a part of them, in turn.
    turn = rng.permutation(n_products) % N_ROUNDS
    for i in range(N_ROUNDS):
        left_out = turn[codes] == i
        learn = ~left_out & (rng.random(len(codes)) < LEARNED_SHARE)
        present = np.isin(codes, codes[learn])
        test, strange = ~left_out & ~learn & present, left_out
        if len(np.unique(codes[learn])) < 2 or (np.bincount(codes[learn]) < 2).all():
            continue
        maps = [fit_metric(block[learn], codes[learn]) for block in blocks]
        x = fused([m(block) for m, block in zip(maps, blocks, strict=True)], weights)
        own = np.unique(codes[learn], return_inverse=True)[1]
        floors = _floors(x[learn], own)
        for rows, found in ((test, known), (strange, unknown)):
            if rows.any():
                similarity = product_similarities(x[rows], x[learn], own)
                nearest = similarity.argmax(axis=1)
                found.append((similarity - floors)[np.arange(len(nearest)), nearest])
    return np.concatenate(known), np.concatenate(unknown)


def _calibrated(known: NDArray[np.float64], unknown: NDArray[np.float64]) -> tuple[float, float, float]:
    """(scale, intercept, rejection): a logistic curve, and where `KNOWN_REJECTED` of the known lie below."""
    if not len(known) or not len(unknown):
        return 20.0, 0.0, 0.0 if not len(known) else float(_sigmoid(20 * np.quantile(known, KNOWN_REJECTED)))
    x = np.concatenate([known, unknown])[:, None]
    y = np.concatenate([np.ones(len(known)), np.zeros(len(unknown))])
    fitted = LogisticRegression(C=1e4, class_weight="balanced", max_iter=1000).fit(x, y)
    scale, intercept = max(float(fitted.coef_[0, 0]), 1e-3), float(fitted.intercept_[0])
    return scale, intercept, float(_sigmoid(scale * np.quantile(known, KNOWN_REJECTED) + intercept))


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-np.clip(x, -700, 700)))
