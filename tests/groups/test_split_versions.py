"""Splitting what is left of a group by the surest copy of each."""

from __future__ import annotations

from hypothesis import given, strategies as st

from cvsim.groups.propose import SAME_PIXELS
from cvsim.groups.versions import versions_of
from cvsim.types import Comparison, Pair, ScoredPair

NODES = range(8)
NODE_OF = {f"{node}.jpg": node for node in NODES}


def edge(a: int, b: int, weight: float, relation: str = "resized", score: float = 0.99) -> ScoredPair:
    comparison = Comparison("phash", 1.0, weight)
    return ScoredPair(Pair(f"{a}.jpg", f"{b}.jpg"), -6.0, score, relation, None, (comparison,))  # type: ignore[arg-type]


edges = st.lists(
    st.builds(
        edge,
        st.sampled_from(NODES),
        st.sampled_from(NODES),
        st.floats(0, 20),
        st.sampled_from(["resized", "edited", "identical-pixels"]),
        st.sampled_from([0.9, 0.99]),
    )
)


@given(st.sets(st.sampled_from(NODES)), edges)
def test_each_node_that_is_left_is_in_one_version(left: set[int], given_edges: list[ScoredPair]) -> None:
    found = versions_of(left, given_edges, NODE_OF, threshold=0.95)
    assert sorted(node for nodes in found for node in nodes) == sorted(left)
    copies = {
        frozenset((NODE_OF[e.pair.a], NODE_OF[e.pair.b]))
        for e in given_edges
        if e.relation != "edited" and e.score >= 0.95
    }
    for nodes in found:
        for node in nodes if len(nodes) > 1 else ():
            assert any(frozenset((node, other)) in copies for other in nodes if other != node)


def test_a_chain_falls_apart_where_each_has_a_surer_copy() -> None:
    chain = [edge(0, 1, 20), edge(1, 2, 9), edge(2, 3, 20), edge(3, 4, 8), edge(4, 5, 20)]
    assert versions_of(range(6), chain, NODE_OF) == [[0, 1], [2, 3], [4, 5]]


def test_only_the_relations_that_are_asked_for_count() -> None:
    links = [edge(0, 1, 40, "identical-pixels"), edge(1, 2, 9), edge(2, 3, 8)]
    assert versions_of(range(4), links, NODE_OF, relations=SAME_PIXELS) == [[0, 1], [2], [3]]
    assert versions_of(range(4), links, NODE_OF) == [[0, 1, 2, 3]]


def test_what_was_refuted_and_what_was_edited_does_not_tie() -> None:
    links = [edge(0, 1, 20), edge(0, 2, 15), edge(3, 4, 20, "edited")]
    assert versions_of(range(5), links, NODE_OF, asked={(0, 1)}) == [[0, 2], [1], [3], [4]]
