"""Ways to part vectors into groups: cutting a tree of merges, k-means, density.

Trees (Ward's, average link, single link) are built once and cut at any height; single link cut at a height
gives exactly the connected components of the graph of pairs at most that far apart. The reciprocal tree is
that of average link by distances that count shared neighbours (`cvsim.products.reranking`). That of chance is
that of average link, its heights put in terms of how likely strangers would come that near
(`against_chance`).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.cluster import DBSCAN, HDBSCAN, AffinityPropagation, KMeans, SpectralClustering
from sklearn.neighbors import kneighbors_graph

from cvsim.arrays import labelled_in_order
from cvsim.errors import MissingExtraError, UsageError
from cvsim.products.methods import TREES
from cvsim.products.reranking import MOST_NEAR, reciprocal_distances

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.types import Indices

MAX_IMAGES = 30_000
"""All pairs of more do not fit into a few gigabytes."""
DENSITY_NEIGHBOURS = 3
GRAPH_NEIGHBOURS = 7
"""Of the graph that spectral clustering and Leiden part; see `cvsim.products.stopping`."""
CHANCE_POWER = 0.65
"""Exponent of the mean size of two groups: if pairs of one picture were independent, it would be 1.

Chosen on the partings with seeds below 60 and 200 to 229 of ``benchmarks/products.md``: with 0.55, the best
stopping points of the two sets lie as far apart as 2.7 and 4.2; with 0.65, one fits both.
"""
_BLOCK = 512


@dataclass(frozen=True, eq=False)
class MergeTree:
    """Merges of n images, scipy's ``Z``, (n - 1, 4) float64: none is lower than those that it joins."""

    merges: NDArray[np.float64]

    @property
    def n_images(self) -> int:
        """Count the images."""
        return len(self.merges) + 1

    @property
    def heights(self) -> NDArray[np.float64]:
        """List the height of each merge."""
        return self.merges[:, 2]

    def cut(self, height: float) -> Indices:
        """(n,) labels from 0 by first image: merges at most this high are made."""
        if not len(self.merges):
            return np.zeros(1, np.int64)
        return labelled_in_order(fcluster(self.merges, height, "distance"))

    def cut_into(self, n_groups: int) -> Indices:
        """(n,) labels of at most `n_groups` groups."""
        if not len(self.merges):
            return np.zeros(1, np.int64)
        return labelled_in_order(fcluster(self.merges, n_groups, "maxclust"))


def build_tree(vectors: NDArray[np.float32], method: str, n_near: int = MOST_NEAR) -> MergeTree:
    """The tree of merges by Euclidean distance.

    Parameters
    ----------
    vectors : (n, n_dims) float array
    method : str
        A name in `TREES`.
    n_near : int
        Of the method ``reciprocal``: how many neighbours are looked at.

    Raises
    ------
    UsageError
        The method is unknown, or there are more than `MAX_IMAGES` images.
    """
    if method not in TREES:
        raise UsageError(f"no tree is built by {method!r}; known: {', '.join(TREES)}")
    if len(vectors) > MAX_IMAGES:
        raise UsageError(
            f"{len(vectors):,} pictures are too many to compare all pairs of; {MAX_IMAGES:,} fit"
        )
    if len(vectors) < 2:
        return MergeTree(np.zeros((0, 4)))
    distances = condensed_distances(vectors)
    if method == "reciprocal":
        distances = reciprocal_distances(np.asarray(vectors, np.float32), distances, n_near)
    tree = MergeTree(linkage(distances, TREES[method]))
    if method == "chance":
        return against_chance(tree, float(distances.mean()), float(distances.std()))
    return tree


def against_chance(tree: MergeTree, mean: float, deviation: float) -> MergeTree:
    """The tree of average link with heights exp(-z), z saying how much nearer than chance a merge is.

    Two groups whose members are on average a little nearer than any two pictures may be one product, if they
    are large: over many pairs chance evens out. z is that difference in standard deviations of a pair's
    distance, times a power of the groups' mean size. The pairs are not independent, and kinds of products
    (trousers, shirts) are nearer than chance too: a full standard error would join each kind. A merge below
    one that is sure is as sure: z is the largest on the way up.

    Parameters
    ----------
    tree : MergeTree
        The tree of average link.
    mean, deviation : float
        Mean and deviation of the distances of all pairs.
    """
    n = tree.n_images
    merges = tree.merges.copy()
    children = merges[:, :2].astype(np.int64)
    sizes = np.concatenate([np.ones(n), merges[:, 3]])
    joined = np.sqrt(sizes[children[:, 0]] * sizes[children[:, 1]])
    z = (mean - merges[:, 2]) / max(deviation, 1e-12) * joined**CHANCE_POWER
    for merge in range(len(z) - 1, -1, -1):
        for child in children[merge] - n:
            if child >= 0:
                z[child] = max(z[child], z[merge])
    merges[:, 2] = np.exp(-np.clip(z, -50.0, 50.0))
    return MergeTree(merges)


def condensed_distances(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Euclidean distances of all pairs in scipy's condensed order, by blocks of a matrix product."""
    vectors = np.ascontiguousarray(vectors, np.float32)
    n = len(vectors)
    squares = np.einsum("nd,nd->n", vectors, vectors)
    found = np.empty(n * (n - 1) // 2)
    end = 0
    for start in range(0, n, _BLOCK):
        rows = vectors[start : start + _BLOCK]
        block = squares[start : start + _BLOCK, None] + squares[start:] - 2 * (rows @ vectors[start:].T)
        np.sqrt(np.maximum(block, 0), out=block)
        for i in range(len(rows)):
            n_right = n - start - i - 1
            found[end : end + n_right] = block[i, i + 1 :]
            end += n_right
    return found


def kmeans(vectors: NDArray[np.float32], n_groups: int, seed: int = 0) -> Indices:
    """(n,) labels of k-means; the best of a few starts."""
    n_groups = min(n_groups, len(np.unique(vectors, axis=0)))
    return labelled_in_order(KMeans(n_groups, n_init=4, random_state=seed).fit_predict(vectors))


def density(vectors: NDArray[np.float32], distance: float) -> Indices:
    """(n,) labels of DBSCAN within `distance`; what is in no dense place stands alone."""
    found = DBSCAN(eps=max(distance, 1e-9), min_samples=DENSITY_NEIGHBOURS).fit_predict(vectors)
    return _noise_alone(found.astype(np.int64))


def hdbscan(vectors: NDArray[np.float32]) -> Indices:
    """(n,) labels of HDBSCAN with groups of two or more; what is in no group stands alone."""
    if len(vectors) < 3:
        return np.arange(len(vectors))
    found = HDBSCAN(min_cluster_size=2, copy=True).fit_predict(vectors.astype(np.float64))
    return _noise_alone(found.astype(np.int64))


def affinity(vectors: NDArray[np.float32], seed: int = 0) -> Indices:
    """(n,) labels of affinity propagation, by negative squared distances.

    Raises
    ------
    UsageError
        It does not come to an end on these vectors.
    """
    if len(vectors) < 2:
        return np.zeros(len(vectors), np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # too few steps, or all pictures equally alike
        found = AffinityPropagation(damping=0.9, max_iter=1000, random_state=seed).fit(vectors)
    if (found.labels_ < 0).any():
        raise UsageError("affinity propagation does not settle on these pictures; take another method")
    return labelled_in_order(found.labels_.astype(np.int64))


def spectral(vectors: NDArray[np.float32], n_groups: int, seed: int = 0) -> Indices:
    """(n,) labels of spectral clustering of the graph of nearest neighbours."""
    n = len(vectors)
    if n_groups >= n - 1 or n < 4:
        return build_tree(vectors, "average").cut_into(n_groups)
    n_near = min(n - 1, GRAPH_NEIGHBOURS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the graph may fall into parts
        # Of a graph in parts several eigenvalues are equal, of which the usual solver may miss some.
        found = SpectralClustering(
            n_groups,
            affinity="nearest_neighbors",
            n_neighbors=n_near,
            eigen_solver="lobpcg",
            random_state=seed,
            n_init=4,
        ).fit_predict(vectors)
    return labelled_in_order(found.astype(np.int64))


def leiden(vectors: NDArray[np.float32], seed: int = 0) -> Indices:
    """(n,) labels of the Leiden algorithm (Traag et al., 2019), by modularity, on the graph of neighbours.

    Raises
    ------
    MissingExtraError
        igraph or leidenalg is not installed.
    """
    try:
        import igraph
        import leidenalg
    except ImportError as exc:
        raise MissingExtraError("The method leiden", "graph") from exc
    if len(vectors) < 3:
        return np.arange(len(vectors))
    n_near = min(GRAPH_NEIGHBOURS, len(vectors) - 1)
    near = kneighbors_graph(vectors, n_near, mode="connectivity")
    a, b = near.maximum(near.T).nonzero()
    edges = np.stack([a, b], axis=1)[a < b]
    graph = igraph.Graph(n=len(vectors), edges=edges.tolist())
    found = leidenalg.find_partition(graph, leidenalg.ModularityVertexPartition, seed=seed)
    return labelled_in_order(np.array(found.membership, np.int64))


def _noise_alone(labels: Indices) -> Indices:
    alone = labels == -1
    labels[alone] = labels.max(initial=-1) + 1 + np.arange(int(alone.sum()))
    return labelled_in_order(labels)


def merge_agreement(tree: MergeTree, labels: Indices) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Count, for each merge, the pairs it joins whose labels are equal, and all pairs it joins."""
    n = tree.n_images
    n_labels = int(labels.max(initial=-1)) + 1
    counts = {i: np.bincount([label], minlength=n_labels) for i, label in enumerate(labels)}
    same, pairs = np.empty(n - 1), np.empty(n - 1)
    for i, (left, right) in enumerate(tree.merges[:, :2].astype(np.int64)):
        a, b = counts.pop(int(left)), counts.pop(int(right))
        same[i], pairs[i] = a @ b, a.sum() * b.sum()
        counts[n + i] = a + b
    return same, pairs
