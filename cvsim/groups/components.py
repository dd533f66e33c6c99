"""From scored pairs to groups, and how firmly each group holds together.

The groups are the connected components of the pairs at or above a threshold, with one exception.

Containment
-----------
A pair may be directed: one side, the part, shows only a region of the other, the container. There are two
kinds, and they are told apart by the pixels, not by the graph: if the picture goes on around the
region, the part is a *crop*; if there is a seam and something foreign around it, the part was *pasted*.

A crop links like any other pair: two crops of one photograph belong together, also where they do not
overlap. A pasted part does not: a collage contains photographs that have nothing to do with each other.

1. *Cores* are the connected components of all links but the pasted ones. If at least half of the
   links into a container are pasted, of two both, the others are taken as pasted too: a crop of one
   photograph of a collage has no seam of its own, because its photograph goes on around it. One of two is
   too few to tell: a crop may end on a line of the picture, which looks like a seam.
2. A core joins the group of what is pasted into it if every one of its members contains something of
   that group, and none contains anything of another. Otherwise it stays apart: a collage of two
   photographs belongs to neither, and a photograph does not join what was pasted onto its copy.
3. That is repeated until nothing changes (a framed picture may be framed again). Joining only makes
   more cores eligible, so the result does not depend on the order of nodes or edges.

Two parts are therefore never joined through a picture into which both were pasted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cvsim.arrays import labelled_in_order
from cvsim.errors import UsageError
from cvsim.groups.bridges import Split, bridges, splits

if TYPE_CHECKING:
    from cvsim.types import Indices


@dataclass(frozen=True, slots=True)
class Grouping:
    """Nodes in groups. A node that is linked to no other is a group of its own.

    Attributes
    ----------
    labels : (n_nodes,) int64 array
        Group of each node, from 0 in the order of the groups' smallest nodes.
    linked : (n_edges,) bool array
        The edges, as they were given, that lie at or above the threshold and within a group.
    sizes : (n_groups,) int64 array
        Number of nodes.
    weakest_link : (n_groups,) float64 array
        Lowest score in the group's strongest spanning tree: the group would hold together at any
        threshold up to this. NaN for a single node.
    n_bridges : (n_groups,) int64 array
        Links whose removal would split the group.
    """

    labels: Indices
    linked: NDArray[np.bool_]
    sizes: Indices
    weakest_link: NDArray[np.float64]
    n_bridges: Indices

    @property
    def n_groups(self) -> int:
        """Count the groups."""
        return len(self.sizes)

    def groups(self, min_size: int = 2) -> list[Indices]:
        """Nodes of each group of at least `min_size`, ascending, in the order of labels."""
        nodes = np.argsort(self.labels, kind="stable")
        ends = np.cumsum(self.sizes)
        wanted = np.flatnonzero(self.sizes >= min_size)
        return [nodes[ends[label] - self.sizes[label] : ends[label]] for label in wanted]


def connected_components(
    n_nodes: int,
    a: ArrayLike,
    b: ArrayLike,
    score: ArrayLike,
    threshold: float,
    *,
    part: ArrayLike | None = None,
    pasted: ArrayLike | None = None,
) -> Grouping:
    """Group nodes by the edges at or above a threshold, minding containment (see the module's text).

    Parameters
    ----------
    n_nodes : int
    a, b : (n_edges,) int arrays
        The sides of each edge, in any order; an edge may be given more than once, its best score counts.
    score : (n_edges,) float array
    threshold : float
        Inclusive.
    part : (n_edges,) int array, optional
        The node that shows only a region of the other one, -1 where neither does. Default: all -1.
    pasted : (n_edges,) bool array, optional
        True where there is something foreign around the part in its container; where neither side is a
        part, something foreign in both: such an edge links nothing. Default: all False.

    Returns
    -------
    Grouping

    Raises
    ------
    UsageError
        If the arrays differ in length, name a node that does not exist, or link a node to itself.
    """
    a, b = np.asarray(a, np.int64), np.asarray(b, np.int64)
    score = np.asarray(score, np.float64)
    part = np.full(len(a), -1) if part is None else np.asarray(part, np.int64)
    pasted = np.zeros(len(a), bool) if pasted is None else np.asarray(pasted, bool)
    _check_edges(n_nodes, a, b, score, part, pasted)

    above = score >= threshold
    labels = _group(n_nodes, a[above], b[above], part[above], pasted[above])
    linked = above & (labels[a] == labels[b])
    return _with_figures(labels, linked, a[linked], b[linked], score[linked])


def _check_edges(
    n_nodes: int,
    a: Indices,
    b: Indices,
    score: NDArray[np.float64],
    part: Indices,
    pasted: NDArray[np.bool_],
) -> None:
    lengths = {len(array) for array in (a, b, score, part, pasted)}
    if len(lengths) > 1:
        raise UsageError(f"the arrays of edges must be of one length, not {sorted(lengths)}")
    if len(a) and (min(a.min(), b.min()) < 0 or max(a.max(), b.max()) >= n_nodes):
        raise UsageError(f"an edge names a node outside 0 to {n_nodes - 1}")
    if (a == b).any():
        raise UsageError("an edge links a node to itself")
    if ((part != -1) & (part != a) & (part != b)).any():
        raise UsageError("the part of an edge must be one of its two sides, or -1")


def _group(n_nodes: int, a: Indices, b: Indices, part: Indices, pasted: NDArray[np.bool_]) -> Indices:
    """Labels from the edges at or above the threshold: cores first, then cores join what they contain."""
    is_directed = part != -1
    container = np.where(is_directed, a + b - part, -1)
    pasted = pasted | (is_directed & _is_host(n_nodes, container, pasted)[container])
    cores = _components(n_nodes, a[~pasted], b[~pasted])
    pastes = pasted & is_directed
    return _join_hosts(cores, part[pastes], container[pastes])


def _is_host(n_nodes: int, container: Indices, pasted: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(n_nodes,) True for containers of which at least half of the parts were pasted; of two, both."""
    directed = container != -1
    n_parts = np.bincount(container[directed], minlength=n_nodes)
    n_pasted = np.bincount(container[directed & pasted], minlength=n_nodes)
    least: NDArray[np.float64] = np.where(n_parts == 2, 2, n_parts / 2)
    return np.asarray((n_pasted > 0) & (n_pasted >= least))


def _join_hosts(cores: Indices, part: Indices, container: Indices) -> Indices:
    """Let each core join the one group of which all its members contain something, again and again."""
    labels = cores
    n_cores = int(cores.max(initial=-1)) + 1
    core_sizes = np.bincount(cores, minlength=n_cores)
    while True:
        foreign = labels[part] != labels[container]
        host, inside = container[foreign], labels[part[foreign]]
        if not len(host):
            return labels
        contents = np.unique(np.stack([host, inside]), axis=1)
        host, inside = contents
        core = cores[host]
        first_inside = np.full(n_cores, -1)
        first_inside[core] = inside
        is_alone = np.ones(n_cores, bool)
        is_alone[core[inside != first_inside[core]]] = False
        n_hosts = np.bincount(cores[np.unique(host)], minlength=n_cores)
        joins = np.flatnonzero((first_inside >= 0) & is_alone & (n_hosts == core_sizes))
        if not len(joins):
            return labels
        # Some node of each joining core, and some node of the group that it joins.
        node_of_core = np.zeros(n_cores, np.int64)
        node_of_core[cores] = np.arange(len(cores))
        of_core = labels[node_of_core[joins]]
        n_labels = int(labels.max()) + 1
        labels = labelled_in_order(_components(n_labels, of_core, first_inside[joins])[labels])


def _components(n_nodes: int, a: Indices, b: Indices) -> Indices:
    """Connected components, labelled in the order of their smallest nodes."""
    return labelled_in_order(_strongest_forest(n_nodes, a, b)[1])


def _with_figures(
    labels: Indices, linked: NDArray[np.bool_], a: Indices, b: Indices, score: NDArray[np.float64]
) -> Grouping:
    """Add what each group's links say about it; `a`, `b`, `score` are the links alone."""
    n_groups = int(labels.max(initial=-1)) + 1
    a, b, score = _best_of_repeated(a, b, score)
    tree = _strongest_forest(len(labels), a, b)[0]
    weakest_link = np.full(n_groups, np.inf)
    np.minimum.at(weakest_link, labels[a[tree]], score[tree])
    weakest_link[np.isinf(weakest_link)] = np.nan
    rest = np.delete(np.arange(len(a)), tree)
    rest = rest[_strongest_forest(len(labels), a[rest], b[rest])[0]]
    bridge_sides = bridges(len(labels), a, b, tree, rest)
    return Grouping(
        labels=labels,
        linked=linked,
        sizes=np.bincount(labels, minlength=n_groups),
        weakest_link=weakest_link,
        n_bridges=np.bincount(labels[bridge_sides], minlength=n_groups),
    )


def bridges_of(grouping: Grouping, a: Indices, b: Indices, min_side: int = 2) -> list[Split]:
    """Links whose removal would split a group into two parts of at least `min_side` nodes each.

    Parameters
    ----------
    grouping : Grouping
    a, b : (n_edges,) int arrays
        The sides of the edges that were grouped, in their order.
    min_side : int
    """
    n_nodes, linked = len(grouping.labels), grouping.linked
    a, b, _ = _best_of_repeated(a[linked], b[linked], np.ones(int(linked.sum())))
    tree = _strongest_forest(n_nodes, a, b)[0]
    rest = np.delete(np.arange(len(a)), tree)
    rest = rest[_strongest_forest(n_nodes, a[rest], b[rest])[0]]
    lower = bridges(n_nodes, a, b, tree, rest)
    return list(splits(n_nodes, a[tree], b[tree], lower, min_side))


def _best_of_repeated(
    a: Indices, b: Indices, score: NDArray[np.float64]
) -> tuple[Indices, Indices, NDArray[np.float64]]:
    """Each edge once, the best score first, ties by the edge's sides."""
    low, high = np.minimum(a, b), np.maximum(a, b)
    order = np.lexsort((-score, high, low))
    low, high, score = low[order], high[order], score[order]
    is_first = np.ones(len(low), bool)
    is_first[1:] = (low[1:] != low[:-1]) | (high[1:] != high[:-1])
    low, high, score = low[is_first], high[is_first], score[is_first]
    order = np.argsort(-score, kind="stable")
    return low[order], high[order], score[order]


def component_labels(n_nodes: int, a: Indices, b: Indices) -> Indices:
    """A label for each node, (n_nodes,): the same for two that edges connect, over however many others."""
    return _strongest_forest(n_nodes, a, b)[1]


def _strongest_forest(n_nodes: int, a: Indices, b: Indices) -> tuple[Indices, Indices]:
    """The spanning forest that prefers earlier edges: positions of its edges, and a label for each tree.

    In each round every tree takes the first edge that leaves it (Boruvka, 1926), so that the number of trees
    at least halves. scipy has this too, but importing it takes longer than most runs need it for.
    """
    labels, left = np.arange(n_nodes), np.arange(len(a))
    chosen = [left[:0]]
    while True:
        side_a, side_b = labels[a[left]], labels[b[left]]
        leaves = side_a != side_b
        left, side_a, side_b = left[leaves], side_a[leaves], side_b[leaves]
        if not len(left):
            return np.sort(np.concatenate(chosen)), labels
        first = np.full(n_nodes, len(a))
        np.minimum.at(first, side_a, left)
        np.minimum.at(first, side_b, left)
        trees = np.flatnonzero(first < len(a))
        edges = first[trees]
        chosen.append(np.unique(edges))
        labels = _merged(n_nodes, trees, labels[a[edges]] + labels[b[edges]] - trees)[labels]


def _merged(n_nodes: int, trees: Indices, others: Indices) -> Indices:
    """(n_nodes,) the tree that leads each tree, when each of `trees` joins one of `others`.

    Two that chose the same edge join each other; there is no other cycle, since edges are of different rank.
    """
    leader = np.arange(n_nodes)
    leader[trees] = others
    is_first = (leader[others] == trees) & (trees < others)
    leader[trees[is_first]] = trees[is_first]
    while True:
        above = leader[leader]
        if np.array_equal(above, leader):
            return leader
        leader = above
