"""What the kept file of a group does not explain may have copies of its own: an edited version, another page.

Such files fall into versions, each with a kept file of its own. A version is no group: that it was made from
what the kept file of the group shows, or looks like it, stays true.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from cvsim.groups.components import component_labels
from cvsim.groups.propose import COPIES

if TYPE_CHECKING:
    from cvsim.types import ScoredPair


def versions_of(
    left: Collection[int],
    edges: Iterable[ScoredPair],
    node_of: Mapping[str, int],
    asked: Collection[tuple[int, int]] = (),
    threshold: float = 0.0,
    relations: Collection[str] = COPIES,
) -> list[list[int]]:
    """Nodes that are likely copies of each other: each with the one that it is surest to be a copy of.

    Of every node only its surest link counts: a chain of files that are alike, but no copies, falls apart
    into those that belong together most.

    Parameters
    ----------
    left : collection of int
        Nodes that neither stay for the others of their group nor go.
    edges : iterable of ScoredPair
        Those of `relations` at or above `threshold` count.
    node_of : mapping of str to int
        By path.
    asked : collection of (int, int)
        Pairs of nodes of which one was found not to explain the other; the smaller first.
    threshold : float
    relations : collection of str
        Full copies, if not given.

    Returns
    -------
    list of list of int
        Ascending; a node without a link is alone.
    """
    surest: dict[int, tuple[float, int]] = {}
    for edge in edges:
        if edge.relation not in relations or edge.score < threshold:
            continue
        a, b = sorted((node_of[edge.pair.a], node_of[edge.pair.b]))
        if a == b or a not in left or b not in left or (a, b) in asked:
            continue
        sure = edge.prior + sum(comparison.weight for comparison in edge.comparisons)
        for one, other in ((a, b), (b, a)):
            surest[one] = max(surest.get(one, (-np.inf, -1)), (sure, -other))
    nodes = sorted(left)
    place = {node: k for k, node in enumerate(nodes)}
    ends = ((place[one], place[-other]) for one, (_, other) in surest.items())
    linked = sorted({(min(pair), max(pair)) for pair in ends})
    columns = np.array(linked, np.int64).reshape(-1, 2)
    labels = component_labels(len(nodes), columns[:, 0], columns[:, 1])
    found: dict[int, list[int]] = {}
    for node, label in zip(nodes, labels.tolist(), strict=True):
        found.setdefault(label, []).append(node)
    return list(found.values())
