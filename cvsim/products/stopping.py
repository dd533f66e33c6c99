"""Where a tree of merges is cut when nobody knows how many products there are, measured on the collection.

Two measures see two kinds of collection. Where a product has a few photos, its photos are nearer to each
other than to the nearest other product: the mean silhouette (Rousseeuw, 1987) is largest at the products.
Where it has many, each photo has a twin of the same moment, and the silhouette is largest at pairs; there the
graph of nearest neighbours falls into the products, and its modularity (Newman, 2006) is largest at them,
where with few photos it is largest at kinds of products. Which kind a collection is of shows in how fast
neighbours thin out: the twentieth of many is hardly further than the fourth, the twentieth of six is a
stranger. Where that leaves a doubt, the number of groups by the other measure is said.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from scipy.cluster.hierarchy import leaves_list

from cvsim.arrays import smallest
from cvsim.products.partition import MergeTree, build_tree

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.types import Indices

N_CUTS = 48
"""Numbers of groups that are tried, evenly by their logarithms."""
N_MEASURED = 3000
"""Pictures that are measured; of more, that many are drawn."""
N_GRAPH_NEIGHBOURS = 7
"""Of the graph of nearest neighbours. 5 and 10 were tried as well: 5 parts products of sixty photos, 10 joins
those of twenty. Chosen on the cartons, whole and with 4 to 40 photos a product, and on the catalogue, whole
and in parts (``benchmarks/products.md``)."""
N_UNSURE_NEIGHBOURS = 5
"""Of that graph, where many photos a product are likely but not sure: it parts more, and so is less wrong
where products have few. 3 were tried as well: they cost 0.13 of an index of 0.52 on the cartons."""
NEAR, FAR = 4, 20
"""Ranks of the two neighbours that are compared. Of ranks 1 to 6 and up to 40, these part the sets below as
well as any, and better than 2 and 8 (their means lie 2.4 deviations apart, not 1.2)."""
MANY_PHOTOS = 0.44
"""How near the `FAR`-th neighbour is, of the nearness of the `NEAR`-th (medians, from the mean distance of
all pairs), from which products have many photos. 0.22 to 0.42 in the catalogue and in ``catalogue-page``,
whole and in halves, and in the cartons and ``stall`` with 4 and 6 photos each; 0.43 and 0.46 to 0.64 in the
cartons and ``stall``, whole, with 12 to 30 photos each, and nine of their products; each by shape and colour
and by MobileNetV2. The other sets of ``benchmarks/product_sets.py`` chose nothing: it is 0.31 to 0.45 on two
web shops, 0.46 to 0.74 on a turntable and a shop."""
UNSURE = 0.07
"""Within so much of `MANY_PHOTOS` both kinds occur."""
FEW_PHOTOS = 9
"""Up to as many photos a product, if they are told, the silhouette decides; see `_has_many`."""
HINT_FACTOR = 2.5
"""How far off a told number of photos a product may be."""


@dataclass(frozen=True, eq=False)
class Stopped:
    """A grouping that found its own number of groups.

    Attributes
    ----------
    labels : (n,) int64
    alternative : int or None
        The number of groups if products had many photos where few were assumed, or few where many were;
        None where there is no doubt.
    many_photos : bool
        Whether products were taken to have many photos.
    """

    labels: Indices
    alternative: int | None
    many_photos: bool


def stop(
    vectors: NDArray[np.float32],
    photos_per_product: float | None = None,
    *,
    usual: float | None = None,
    seed: int = 0,
) -> Stopped:
    """Group vectors by average link, cut where the collection itself says.

    Parameters
    ----------
    vectors : (n, n_dims) float array
        At least three that are not all the same.
    photos_per_product : float, optional
        About how many, within a factor of two.
    usual : float, optional
        How many the products had that these vectors were learned from. It tells few photos from many, and
        bounds nothing: vectors that were learned to tell products apart thin out less, so that by the
        measure alone halves of the catalogue are taken to have many.
    seed : int
        Of the draw, where there are more than `N_MEASURED`.
    """
    tree = build_tree(vectors, "average")
    n = tree.n_images
    low, high = 2, n - 1
    if photos_per_product is not None:
        low = int(np.clip(n / photos_per_product / HINT_FACTOR, 1, n))
        high = int(np.clip(np.ceil(n / photos_per_product * HINT_FACTOR), low, n))
    tried = np.unique(np.geomspace(low, max(low, high), N_CUTS).round().astype(int))
    cuts = [tree.cut_into(int(number)) for number in tried]
    measured = _Measured.of(vectors, tree, seed)

    def best(measure: Callable[[Indices], float]) -> Indices:
        return cuts[int(np.argmax([measure(labels) for labels in cuts]))]

    few, many = measured.silhouette, partial(measured.modularity, n_neighbours=N_GRAPH_NEIGHBOURS)
    if photos_per_product is not None:
        has_many = _has_many(measured.thinning, photos_per_product)
        return Stopped(best(many if has_many else few), None, has_many)
    has_many = measured.thinning >= MANY_PHOTOS
    if usual is not None and _has_many(measured.thinning, usual) != has_many:
        return _doubtful(best(few if has_many else many), best(many if has_many else few), not has_many)
    if abs(measured.thinning - MANY_PHOTOS) >= UNSURE:
        return Stopped(best(many if has_many else few), None, has_many)
    between = partial(measured.modularity, n_neighbours=N_UNSURE_NEIGHBOURS)
    return _doubtful(best(between if has_many else few), best(few if has_many else many), has_many)


def _doubtful(labels: Indices, other: Indices, has_many: bool) -> Stopped:
    alternative = int(other.max()) + 1
    return Stopped(labels, None if alternative == int(labels.max()) + 1 else alternative, has_many)


def _has_many(thinning: float, photos_per_product: float) -> bool:
    """Whether products have many photos, by a number that is true within a factor of two.

    Within that factor of `FEW_PHOTOS` the number alone may be on the wrong side: it moves the limit of what
    is measured, by `UNSURE` at most. Looked at on the catalogue, the cartons, ``catalogue-page`` and
    ``stall`` with half, once and twice the true number, and on two web shops: of the nine hints there that
    the number alone put on the wrong side, one still is.
    """
    told = float(np.log2(photos_per_product / FEW_PHOTOS))
    return told > 0 if abs(told) >= 1 else thinning >= MANY_PHOTOS - told * UNSURE


@dataclass(frozen=True, eq=False)
class _Measured:
    """Distances of some pictures to all.

    Attributes
    ----------
    rows : (m,) int64
        The pictures.
    leaves : (n,) int64
        All pictures in the order of the tree's leaves: every group of a cut is a run of it.
    sums : (m, n + 1) float64
        Sums of the distances to the first of the leaves.
    nearest : (m, N_GRAPH_NEIGHBOURS) int64
    thinning : float
        See `MANY_PHOTOS`.
    """

    rows: Indices
    leaves: Indices
    sums: NDArray[np.float64]
    nearest: Indices
    thinning: float

    @classmethod
    def of(cls, vectors: NDArray[np.float32], tree: MergeTree, seed: int) -> _Measured:
        n = len(vectors)
        rows = np.arange(n)
        if n > N_MEASURED:
            rows = np.sort(np.random.default_rng(seed).choice(n, N_MEASURED, replace=False))
        leaves = leaves_list(tree.merges).astype(np.int64)
        squares = np.einsum("nd,nd->n", vectors, vectors)
        distances = squares[rows, None] + squares - 2 * (vectors[rows] @ vectors.T)
        distances = np.sqrt(np.maximum(distances, 0))
        distances[np.arange(len(rows)), rows] = 0.0
        sums = np.zeros((len(rows), n + 1))
        np.cumsum(distances[:, leaves], axis=1, out=sums[:, 1:])
        mean = float(sums[:, -1].mean()) / (n - 1)
        distances[np.arange(len(rows)), rows] = np.inf
        n_near = min(FAR, n - 1)
        near = smallest(distances, n_near)
        far = np.median(mean - np.take_along_axis(distances, near, axis=1), axis=0)
        thinning = float(far[-1] / max(far[min(NEAR, n_near) - 1], 1e-12)) if n_near == FAR else 0.0
        return cls(rows, leaves, sums, near[:, :N_GRAPH_NEIGHBOURS], thinning)

    def silhouette(self, labels: Indices) -> float:
        """Mean silhouette; that of a picture alone is 0."""
        in_order = labels[self.leaves]
        starts = np.flatnonzero(np.r_[True, in_order[1:] != in_order[:-1]])
        if len(starts) < 2:
            return 0.0
        sizes = np.diff(np.r_[starts, len(labels)])
        column = np.empty(len(starts), np.int64)
        column[in_order[starts]] = np.arange(len(starts))
        own = column[labels[self.rows]]
        totals = np.diff(self.sums[:, np.r_[starts, len(labels)]], axis=1)
        at = np.arange(len(own))
        within = totals[at, own] / np.maximum(sizes[own] - 1, 1)
        means = totals / sizes
        means[at, own] = np.inf
        between = means.min(axis=1)
        found = (between - within) / np.maximum(np.maximum(between, within), 1e-12)
        return float(np.where(sizes[own] > 1, found, 0.0).mean())

    def modularity(self, labels: Indices, n_neighbours: int) -> float:
        """Share of nearest neighbours in the same group, less what chance would give."""
        share = np.bincount(labels) / len(labels)
        nearest = self.nearest[:, :n_neighbours]
        return float((labels[nearest] == labels[self.rows, None]).mean() - (share**2).sum())
