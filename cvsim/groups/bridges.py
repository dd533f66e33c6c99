"""Links that alone hold two parts of a group together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from cvsim.types import Indices


class Split(NamedTuple):
    """A link, and the two parts that a group falls into without it."""

    ends: tuple[int, int]
    """A node of the first part, and one of the second."""
    parts: tuple[Indices, Indices]


def splits(n_nodes: int, a: Indices, b: Indices, lower: Indices, min_side: int) -> Iterator[Split]:
    """Of the bridges, those with at least `min_side` nodes at either end.

    `a` and `b` are the edges of a spanning forest, and `lower` the lower side of each bridge among them.
    """
    parent, depth = _rooted(n_nodes, a, b)
    children: dict[int, list[int]] = {}
    for node in np.unique(np.concatenate([a, b])).tolist():
        if parent[node] != node:
            children.setdefault(parent[node], []).append(node)
    size = [1] * n_nodes
    root = list(range(n_nodes))
    by_depth = sorted((n for below in children.values() for n in below), key=depth.__getitem__)
    for node in reversed(by_depth):
        size[parent[node]] += size[node]
    for node in by_depth:
        root[node] = root[parent[node]]
    for node in sorted(lower.tolist()):
        if min(size[node], size[root[node]] - size[node]) >= min_side:
            below = _below(node, children)
            others = _below(root[node], children)
            yield Split((node, parent[node]), (below, np.setdiff1d(others, below)))


def _below(node: int, children: dict[int, list[int]]) -> Indices:
    """The node and all under it, ascending."""
    found, pending = [], [node]
    while pending:
        found.append(pending.pop())
        pending += children.get(found[-1], ())
    return np.array(sorted(found), np.int64)


def bridges(n_nodes: int, a: Indices, b: Indices, tree: Indices, rest: Indices) -> Indices:
    """Find one side of each edge whose removal disconnects its ends.

    `tree` is a spanning forest, as positions of its edges, and `rest` one of the edges that it leaves.

    An edge of the forest is no bridge if another edge closes a cycle over it. A second spanning forest, of
    the edges that the first one leaves, is enough to find all those cycles (Nagamochi and Ibaraki, 1992), so
    a component of 5,000 nodes and all their pairs costs little more than its nodes.
    """
    parent, depth = _rooted(n_nodes, a[tree], b[tree])
    highest = list(range(n_nodes))
    """The highest node that is reached over edges known to lie on cycles, shortened as it is walked."""

    def climb(node: int) -> int:
        while highest[node] != node:
            highest[node] = highest[highest[node]]
            node = highest[node]
        return node

    for left, right in zip(a[rest].tolist(), b[rest].tolist(), strict=True):
        left, right = climb(left), climb(right)
        while left != right:
            if depth[left] < depth[right]:
                left, right = right, left
            highest[left] = parent[left]
            left = climb(left)
    lower = np.where(np.array(depth)[a[tree]] > np.array(depth)[b[tree]], a[tree], b[tree])
    found: Indices = lower[np.array(highest, np.int64)[lower] == lower]
    return found


def _rooted(n_nodes: int, a: Indices, b: Indices) -> tuple[list[int], list[int]]:
    """Parent and depth of each node of a forest with these edges; roots are their own parents, of depth 0."""
    sides, others = np.concatenate([a, b]), np.concatenate([b, a])
    order = np.argsort(sides, kind="stable")
    neighbours = others[order].tolist()
    nodes = np.unique(sides)
    ends = np.searchsorted(sides[order], nodes, side="right").tolist()
    span = dict(zip(nodes.tolist(), zip([0, *ends], ends, strict=False), strict=True))
    parent, depth = list(range(n_nodes)), [0] * n_nodes
    reached: set[int] = set()
    for root in span:
        pending = [] if root in reached else [root]
        reached.update(pending)
        while pending:
            node = pending.pop()
            start, end = span[node]
            for other in neighbours[start:end]:
                if other != parent[node]:
                    parent[other], depth[other] = node, depth[node] + 1
                    reached.add(other)
                    pending.append(other)
    return parent, depth
