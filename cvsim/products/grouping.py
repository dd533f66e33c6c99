"""Parting a collection into products with a model, trained or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from cvsim.arrays import labelled_in_order
from cvsim.errors import UsageError
from cvsim.products.methods import FREE, MEASURED_NUMBER, METHODS, TREE_OF, TREES
from cvsim.products.metric import has_evidence, normalised, spread_evenly
from cvsim.products.model import GroupingRule, MergeCurve, ProductModel, Signal, SignalSource
from cvsim.products.partition import affinity, build_tree, density, hdbscan, kmeans, leiden, spectral
from cvsim.products.stopping import Stopped, stop

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.types import Indices

UNTRAINED_POWERS = {"embedding": 0.5, "gradient": 0.5}
TUNED_POWER = 0.15
"""The same of a network that was tuned to tell products apart: its large variances are those of products.
Of 0, 0.15, 0.3 and 0.5 chosen on three partings of the cartons (``benchmarks/products.md``)."""
UNTRAINED_POWER = 0.3
"""How far variances are evened out (see `spread_evenly`), by signal and of all others. Directions of small
variance, raised to the others, bring strangers nearer and part photos of one product: the finer a
signal's bins, the less is good for it. Chosen on partings of the cartons and the catalogue of
``benchmarks/products.md`` with seeds below 60 and 200 to 229."""
UNTRAINED_WEIGHTS = {"embedding": 0.5}
"""What a signal counts, of 1 for the others. A network sees the shelf and the hand, too: by it alone, photos
of a product part into those of one place and one view. Chosen with `UNTRAINED_SURENESS`."""
UNTRAINED_HEIGHT = 1.36
"""Mean distance, of 2 at most, at which average link stops without training: hardly nearer than strangers."""
UNTRAINED_STEEPNESS = -30.0
UNTRAINED_SURENESS = 4.4
"""How many deviations nearer than chance a merge is at even odds (see `against_chance`).

Where ``--method chance`` stops. Chosen on the partings with seeds 400 to 419 of ``benchmarks/products.md``;
500 to 519 were looked at afterwards.
"""

CHANCE_CURVE = MergeCurve(-UNTRAINED_SURENESS, -1.0)
"""The curve of the tree of chance, trained or not: its heights mean the same everywhere."""

ALIKE = 0.9995
"""Cosine of all signals together from which two pictures are as good as one; set by hand, not fitted."""
ONE_THING = 0.93
"""A collection is one product if of all its pairs but one in a hundred the cosine is so large. Of pairs of
different cartons half are below 0.77 by colour; of the catalogue, below 0.60."""
_COMPARED_ROWS = 1024

_NO_CURVES = GroupingRule("components", 0.0, {}, {})
"""The rule for a given number of groups, which needs no threshold."""


def untrained(blocks: Sequence[NDArray[np.float32]], sources: Sequence[SignalSource]) -> ProductModel:
    """The model for a collection without answers: its variances evened out, weights that suit most."""
    worth = np.array([UNTRAINED_WEIGHTS.get(source.name, 1.0) for source in sources])
    signals = []
    for source, block, weight in zip(sources, blocks, (worth / worth.sum()).tolist(), strict=True):
        power = UNTRAINED_POWERS.get(source.name, UNTRAINED_POWER)
        evened = spread_evenly(block, TUNED_POWER if source.params.get("tuned") else power)
        signals.append(Signal(source.name, source.version, dict(source.params), weight, evened))
    # Even odds at the height where merging stops.
    curve = MergeCurve(-UNTRAINED_STEEPNESS * float(np.log(UNTRAINED_HEIGHT)), UNTRAINED_STEEPNESS)
    curves = {**dict.fromkeys(TREES, curve), "chance": CHANCE_CURVE}
    told = [photos for source in sources if (photos := source.params.get("photos_per_product"))]
    grouping = GroupingRule("measured", 0.0, dict.fromkeys(TREES, 0.5), curves, max(told, default=None))
    return ProductModel(tuple(signals), 10.0, -3.0, grouping)


def group(
    model: ProductModel,
    blocks: Sequence[NDArray[np.float32]],
    *,
    method: str | None = None,
    threshold: float | None = None,
    n_clusters: int | None = None,
    photos_per_product: float | None = None,
) -> Stopped:
    """Group a collection: labels from 0 in the order of first images, and how sure their number is.

    Pictures that are as good as identical always share a label.

    Parameters
    ----------
    model : ProductModel
    blocks : sequence of (n, n_dims) float arrays
        One a signal of the model; NaN rows have no evidence.
    method : str, optional
        One of `cvsim.products.methods.METHODS`; the model's own if not given.
    threshold : float, optional
        In [0, 1]: merges are made that are at least this probably right; the learned one if not given.
    n_clusters : int, optional
        That many groups instead of a threshold; fewer if there are fewer different pictures.
    photos_per_product : float, optional
        About how many photos a product has, for the method ``measured``.
    """
    vectors = model.fuse_collection(blocks)
    # A picture without any evidence is like no other: it stands alone, and must not draw others to it.
    known = has_evidence(blocks)
    labels = np.full(len(vectors), -1, np.int64)
    found = Stopped(labels, None, False)
    if known.any():
        plain = normalised(model.fuse_plain(blocks)[known])
        copies = _copies(plain)
        first = np.unique(copies, return_index=True)[1]
        rows = vectors[known][first]
        if n_clusters is not None and n_clusters <= len(vectors):
            n_clusters = min(n_clusters, len(rows))
        method = method or model.grouping.method
        if photos_per_product is not None and (threshold is not None or n_clusters is not None):
            raise UsageError("photos per product, a threshold and a number of groups exclude each other")
        if photos_per_product is not None or (
            method == "measured" and threshold is None and n_clusters is None
        ):
            if method != "measured":
                raise UsageError("photos per product are for the method 'measured'; leave out the method")
            found = _measured(rows, plain[first], photos_per_product, model.grouping)
        elif (
            method in MEASURED_NUMBER
            and threshold is None
            and n_clusters is None
            and model.grouping.method == "measured"
        ):
            stopped = _measured(rows, plain[first], None, model.grouping)
            n_found = int(stopped.labels.max()) + 1
            rule = replace(model.grouping, photos_per_product=len(rows) / n_found)
            of_rows = group_vectors(rows, rule, method, None, n_found)
            found = Stopped(of_rows, stopped.alternative, stopped.many_photos)
        else:
            of_rows = group_vectors(rows, model.grouping, method, threshold, n_clusters)
            found = Stopped(of_rows, None, False)
        labels[known] = labelled_in_order(found.labels[copies])
    labels[~known] = labels.max(initial=-1) + 1 + np.arange(int((~known).sum()))
    return Stopped(labels, found.alternative, found.many_photos)


def _measured(
    vectors: NDArray[np.float32],
    plain: NDArray[np.float32],
    photos_per_product: float | None,
    grouping: GroupingRule,
) -> Stopped:
    """Cut where the collection says; two pictures, or some that are all alike, say nothing of themselves."""
    n = len(vectors)
    if photos_per_product is None and (n < 2 or _are_one_thing(plain)):
        return Stopped(np.zeros(n, np.int64), None, False)
    if n < 3:
        one = photos_per_product is not None and photos_per_product >= 2
        return Stopped(np.zeros(n, np.int64) if one else np.arange(n), None, False)
    return stop(vectors, photos_per_product, usual=grouping.photos_per_product)


def _are_one_thing(plain: NDArray[np.float32]) -> bool:
    n = len(plain)
    drawn = plain if n <= 2000 else plain[np.random.default_rng(0).choice(n, 2000, replace=False)]
    pairs = (drawn @ drawn.T)[np.triu_indices(len(drawn), 1)]
    return bool(np.quantile(pairs, 0.01) >= ONE_THING)


def _copies(plain: NDArray[np.float32]) -> Indices:
    """(n,) codes of pictures that are as good as one."""
    n, edges = len(plain), [np.zeros((0, 2), np.int64)]
    for start in range(0, n, _COMPARED_ROWS):
        near = np.argwhere(plain[start : start + _COMPARED_ROWS] @ plain.T >= ALIKE)
        edges.append(near + np.array([[start, 0]], np.int64))
    a, b = np.concatenate(edges).T
    graph = coo_array((np.ones(len(a), bool), (a, b)), shape=(n, n))
    return labelled_in_order(connected_components(graph, directed=False)[1])


def group_vectors(
    vectors: NDArray[np.float32],
    grouping: GroupingRule,
    method: str | None = None,
    threshold: float | None = None,
    n_clusters: int | None = None,
) -> Indices:
    """Part fused vectors; see `group`. The number of k-means' groups is that of Ward's tree if not given."""
    method = method or grouping.method
    if method not in METHODS:
        raise UsageError(f"unknown method {method!r}; known: {', '.join(METHODS)}")
    if n_clusters is not None and not 1 <= n_clusters <= len(vectors):
        raise UsageError(f"{len(vectors)} images cannot make {n_clusters} groups")
    if method in FREE:
        if n_clusters is not None:
            raise UsageError(f"{method} finds the number of groups itself; leave one of the two out")
        if method == "density":
            return density(vectors, _height(grouping, "components", threshold))
        if threshold is not None:
            raise UsageError(f"{method} knows no threshold; leave out the threshold or the method")
        return {"hdbscan": hdbscan, "affinity": affinity, "leiden": leiden}[method](vectors)
    tree_method = TREE_OF.get(method, method)
    by_number = {"kmeans": kmeans, "spectral": spectral}.get(method)
    if by_number is not None and n_clusters is not None:
        return by_number(vectors, n_clusters)
    tree = build_tree(vectors, tree_method, grouping.n_near)
    if n_clusters is not None:
        return tree.cut_into(n_clusters)
    labels = tree.cut(_height(grouping, tree_method, threshold))
    return labels if by_number is None else by_number(vectors, int(labels.max()) + 1)


def _height(grouping: GroupingRule, method: str, threshold: float | None) -> float:
    if method not in grouping.curves:
        raise UsageError(f"the profile was trained before there was {method}; train it again to use that")
    probability = grouping.thresholds[method] if threshold is None else threshold
    return grouping.curves[method].height(probability)


def group_by_cosine(
    vectors: NDArray[np.float32], threshold: float, method: str = "components", n_clusters: int | None = None
) -> Indices:
    """Part vectors by their cosine alone: a merge is made at a cosine of `threshold` or more.

    Unit vectors with cosine c are sqrt(2 - 2c) apart. For Ward's tree that is the distance of two single
    images; larger groups are held to more.
    """
    norms = np.linalg.norm(np.where(np.isfinite(vectors), vectors, 0), axis=1, keepdims=True)
    unit = (np.nan_to_num(vectors) / np.maximum(norms, 1e-12)).astype(np.float32)
    height = float(np.sqrt(max(0.0, 2 - 2 * threshold))) + 1e-4
    if n_clusters is not None:
        return group_vectors(unit, _NO_CURVES, method, None, n_clusters)
    if method in ("chance", "reciprocal", "measured", "hdbscan", "affinity", "leiden"):
        raise UsageError(f"{method} knows no threshold of similarity; leave out the threshold or the method")
    if method == "density":
        return density(unit, height)
    tree = build_tree(unit, TREE_OF.get(method, method))
    labels = tree.cut(height)
    by_number = {"kmeans": kmeans, "spectral": spectral}.get(method)
    return labels if by_number is None else by_number(unit, int(labels.max()) + 1)
