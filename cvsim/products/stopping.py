"""Where a tree of merges is cut when nobody knows how many products there are, measured on the collection.

Two measures see two kinds of collection. Where a product has a few photos, its photos are nearer to each
other than to the nearest other product: the mean silhouette (Rousseeuw, 1987) is largest at the products.
Where it has many, each photo has a twin of the same moment, and the silhouette is largest at pairs; there the
graph of nearest neighbours falls into the products, and its modularity (Newman, 2006) is largest at them,
where with few photos it is largest at kinds of products. Each is a little off to its own side: the silhouette
is helped by some modularity, and the modularity by how much of a cut is found again when only some of the
pictures are there.

Which kind a collection is of shows in how fast neighbours thin out: the twentieth of many is hardly further
than the fourth, the twentieth of six is a stranger. It also shows in whether the groups of the second measure
are found again, and in how much of the silhouette they lose. Where that leaves a doubt, the number of groups
by the other measure is said.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.cluster.hierarchy import leaves_list

from cvsim.arrays import smallest
from cvsim.groups.evaluation import adjusted_rand_index
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
N_DRAWS = 8
"""Of pictures for the stability. 4 cost 0.002 of the index on the sets below; 16 gave the same."""
DRAWN_SHARE = 0.6
"""Of the pictures, in each draw. 0.5 and 0.8 were tried as well, and cost 0.002 at most."""
STABILITY_WEIGHT = 0.5
"""What the stability counts beside the modularity, of 1 for the largest. Of 0 to 0.75, chosen with
`MODULARITY_WEIGHT`; 0 costs 0.014 of the index where products have many photos, 0.75 costs 0.002."""
MODULARITY_WEIGHT = 0.2
"""What the modularity counts beside the silhouette, of 1 for the largest of each. The silhouette alone parts
products of a few photos too far, and costs 0.005; the stability does no good there. 0.15 to 0.3 are as good.
Chosen, as what follows, on the cartons and the catalogue, and on ``catalogue-page`` and ``stall`` with three
seeds: each whole and in parts, with 3 to 40 photos a product, and with few and many in one set. What it does
on sets that chose nothing is in ``benchmarks/products.md``."""
NEAR, FAR = 4, 20
"""Ranks of the two neighbours that are compared. Of ranks 1 to 6 and up to 40, these part those sets about as
well as any; 2 and 20 part them better alone, and no better beside the two facts of `STABLE` and `LOSES`."""
MANY_PHOTOS = 0.545
"""How much of `_Cuts.evidence` there is from which products have many photos. A linear model chose it and the
two weights below, on those sets, each counting by what the wrong measure would cost. The evidence is 0.045
below it in the catalogue by MobileNetV2 and further elsewhere with few photos (but up to 0.08 above it in
``stall`` with nine photos each), and from -0.01 to 0.27 above it with many (but -0.06 in the cartons with six
each)."""
STABLE, LOSES = 1 / 3, 2 / 3
"""What counts beside how neighbours thin out: how stable the groups are at the largest modularity, and how
much less their silhouette is than the largest."""
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
        Of the draws, for the stability and where there are more than `N_MEASURED`.
    """
    tree = build_tree(vectors, "average")
    n = tree.n_images
    measured = _Measured.of(vectors, tree, seed)
    if photos_per_product is not None:
        has_many = _says_many(photos_per_product)
        if has_many is None:
            has_many = _has_many(_Cuts.of(tree, measured, 2, n - 1).evidence, photos_per_product)
        low = int(np.clip(n / photos_per_product / HINT_FACTOR, 1, n))
        high = int(np.clip(np.ceil(n / photos_per_product * HINT_FACTOR), low, n))
        return Stopped(_Cuts.of(tree, measured, low, high).best(has_many), None, has_many)
    cuts = _Cuts.of(tree, measured, 2, n - 1)
    has_many = cuts.evidence >= MANY_PHOTOS
    if usual is not None and _has_many(cuts.evidence, usual) != has_many:
        return _doubtful(cuts, not has_many)
    if abs(cuts.evidence - MANY_PHOTOS) < UNSURE:
        return _doubtful(cuts, has_many)
    return Stopped(cuts.best(has_many), None, has_many)


def _doubtful(cuts: _Cuts, has_many: bool) -> Stopped:
    labels, alternative = cuts.best(has_many), int(cuts.best(not has_many).max()) + 1
    return Stopped(labels, None if alternative == int(labels.max()) + 1 else alternative, has_many)


def _says_many(photos_per_product: float) -> bool | None:
    """Whether a number that is true within a factor of two means many photos; None if it may be either."""
    if max(photos_per_product / FEW_PHOTOS, FEW_PHOTOS / photos_per_product) < 2:
        return None
    return photos_per_product > FEW_PHOTOS


def _has_many(evidence: float, photos_per_product: float) -> bool:
    """Whether products have many photos, by such a number and by what was measured.

    Where the number alone may be on the wrong side, it moves the limit of what is measured, by `UNSURE` at
    most.
    """
    said = _says_many(photos_per_product)
    limit = MANY_PHOTOS - UNSURE * float(np.log2(photos_per_product / FEW_PHOTOS))
    return evidence >= limit if said is None else said


@dataclass(frozen=True, eq=False)
class _Cuts:
    """Cuts of a tree, and what is measured of each.

    Attributes
    ----------
    measured : _Measured
    labels : list of (n,) int64
    heights : list of float
    silhouette, modularity : (n_cuts,) float64
    """

    measured: _Measured
    labels: list[Indices]
    heights: list[float]
    silhouette: NDArray[np.float64]
    modularity: NDArray[np.float64]

    @classmethod
    def of(cls, tree: MergeTree, measured: _Measured, low: int, high: int) -> _Cuts:
        """Cut into `low` to `high` groups."""
        tried = np.unique(np.geomspace(low, max(low, high), N_CUTS).round().astype(int))
        labels = [tree.cut_into(int(number)) for number in tried]
        return cls(
            measured,
            labels,
            [_height(tree, int(cut.max()) + 1) for cut in labels],
            np.array([measured.silhouette(cut) for cut in labels]),
            np.array([measured.modularity(cut) for cut in labels]),
        )

    def stability(self, number: int) -> float:
        """Of one of the cuts; the trees that it takes are built when they are first asked."""
        return self.measured.stability(self.labels[number], self.heights[number])

    def best(self, has_many: bool) -> Indices:
        """Labels of the cut where products are, if they have many photos, or few."""
        modularity = _of_largest(self.modularity)
        if has_many:
            stability = np.array([self.stability(number) for number in range(len(self.labels))])
            score = modularity + STABILITY_WEIGHT * stability
        else:
            score = _of_largest(self.silhouette) + MODULARITY_WEIGHT * modularity
        return self.labels[int(score.argmax())]

    @property
    def evidence(self) -> float:
        """How much speaks for many photos a product, if these are all of the cuts; see `STABLE`."""
        few, many = int(self.silhouette.argmax()), int(self.modularity.argmax())
        lost = self.silhouette[few] - self.silhouette[many]
        return float(self.measured.thinning + STABLE * self.stability(many) - LOSES * lost)


def _of_largest(values: NDArray[np.float64]) -> NDArray[np.float64]:
    positive = np.maximum(values, 0.0)
    return positive / max(float(positive.max()), 1e-12)


def _height(tree: MergeTree, n_groups: int) -> float:
    """Of the last merge that is made for so many groups."""
    n_made = tree.n_images - n_groups
    return float(tree.heights[n_made - 1]) if n_made else 0.0


def agreement(labels: Indices, others: Indices) -> float:
    """Adjusted Rand Index of two groupings; 1 where both are all alone or all together."""
    n_both, n_labels, n_others = (
        int(np.sum(counts * (counts - 1)) // 2)
        for counts in (
            np.unique(labels * (int(others.max()) + 1) + others, return_counts=True)[1],
            np.bincount(labels),
            np.bincount(others),
        )
    )
    return adjusted_rand_index(n_both, n_labels, n_others, len(labels) * (len(labels) - 1) // 2)


@dataclass(frozen=True, eq=False)
class _Measured:
    """Distances of some pictures to all, and trees of fewer pictures.

    Attributes
    ----------
    vectors : (n, n_dims) float32
    rows : (m,) int64
        The pictures.
    leaves : (n,) int64
        All pictures in the order of the tree's leaves: every group of a cut is a run of it.
    sums : (m, n + 1) float64
        Sums of the distances to the first of the leaves.
    nearest : (m, N_GRAPH_NEIGHBOURS) int64
    thinning : float
        How near the `FAR`-th neighbour is, of the nearness of the `NEAR`-th (medians, from the mean distance
        of all pairs).
    drawn : list of int64 arrays
        Some of the pictures, for `draws`.
    """

    vectors: NDArray[np.float32]
    rows: Indices
    leaves: Indices
    sums: NDArray[np.float64]
    nearest: Indices
    thinning: float
    drawn: list[Indices]

    @classmethod
    def of(cls, vectors: NDArray[np.float32], tree: MergeTree, seed: int) -> _Measured:
        n = len(vectors)
        rng = np.random.default_rng(seed)
        rows = np.arange(n)
        if n > N_MEASURED:
            rows = np.sort(rng.choice(n, N_MEASURED, replace=False))
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
        n_drawn = max(2, int(DRAWN_SHARE * len(rows)))
        drawn = [np.sort(rng.choice(rows, n_drawn, replace=False)) for _ in range(N_DRAWS)]
        return cls(vectors, rows, leaves, sums, near[:, :N_GRAPH_NEIGHBOURS], thinning, drawn)

    @functools.cached_property
    def draws(self) -> list[tuple[Indices, MergeTree]]:
        """Some of the pictures, and what they alone are merged to."""
        return [(some, build_tree(self.vectors[some], "average")) for some in self.drawn]

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

    def modularity(self, labels: Indices) -> float:
        """Share of nearest neighbours in the same group, less what chance would give."""
        share = np.bincount(labels) / len(labels)
        return float((labels[self.nearest] == labels[self.rows, None]).mean() - (share**2).sum())

    def stability(self, labels: Indices, height: float) -> float:
        """How well the trees of fewer pictures agree with these labels, cut at the same height."""
        return float(np.mean([agreement(labels[some], tree.cut(height)) for some, tree in self.draws]))
