"""The threshold graph of a run, for networkx and whatever reads GraphML."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from cvsim.names import printable

if TYPE_CHECKING:
    import networkx

    from cvsim.types import DedupeResult, ScoredPair


def threshold_graph(result: DedupeResult) -> networkx.Graph[str]:
    """The pictures of all groups, by path, and their links at or above the threshold.

    Returns
    -------
    networkx.Graph
        Nodes have ``width_px``, ``height_px``, ``size_bytes``, ``group`` (a number) and ``keep`` (whether
        it is one to keep); edges have ``score``, ``relation`` and ``contained``, the path of the one that
        shows only a part of the other, or None.
    """
    import networkx

    graph: networkx.Graph[str] = networkx.Graph()
    for group in result.groups:
        for member in group.members:
            record = member.record
            graph.add_node(
                record.path,
                width_px=record.width_px,
                height_px=record.height_px,
                size_bytes=record.size_bytes,
                group=group.id,
                keep=record.path in group.kept,
            )
        for edge in group.edges:
            graph.add_edge(
                edge.pair.a,
                edge.pair.b,
                score=float(edge.score),
                relation=edge.relation,
                contained=_contained(edge),
            )
    return graph


def _contained(edge: ScoredPair) -> str | None:
    return None if edge.contained is None else getattr(edge.pair, edge.contained)


def to_graphml(result: DedupeResult) -> bytes:
    """The graph as a GraphML document in UTF-8.

    What XML cannot hold of a name (control characters, bytes that are not UTF-8) is written as its escape,
    and where that makes two names the same a number is added. An attribute that is None is left out.
    """
    import networkx

    graph = threshold_graph(result)
    names: dict[str, str] = {}
    taken: set[str] = set()
    for path in graph:
        name, n = printable(path), 1
        while name in taken:
            n += 1
            name = f"{printable(path)} ({n})"
        taken.add(name)
        names[path] = name
    for _, _, values in graph.edges(data=True):
        contained = values.pop("contained")
        if contained is not None:
            values["contained"] = names[contained]
    stream = io.BytesIO()
    networkx.write_graphml(networkx.relabel_nodes(graph, names), stream, encoding="utf-8")
    return stream.getvalue() + b"\n"
