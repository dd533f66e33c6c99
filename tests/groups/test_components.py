"""Groups against an independent oracle (networkx) on random graphs, and the rules of containment."""

from __future__ import annotations

import itertools

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from cvsim.errors import UsageError
from cvsim.groups.components import bridges_of, connected_components


@st.composite
def graphs(draw):
    """(n_nodes, edges): (a, b, score, part, pasted), sparse enough to have several components."""
    n = draw(st.integers(2, 14))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    edges = []
    for a, b in itertools.combinations(range(n), 2):
        if rng.random() < 2.5 / n:
            part = rng.choice([-1, a, b])
            edges.append((a, b, round(rng.random(), 1), int(part), bool(rng.random() < 0.6)))
    return n, edges


def columns(edges):
    return [np.array(column) for column in zip(*edges, strict=True)] if edges else [np.empty(0)] * 5


def run(n, edges, threshold=0.5):
    a, b, score, part, pasted = columns(edges)
    return connected_components(n, a, b, score, threshold, part=part, pasted=pasted)


def sets(labels):
    return {frozenset(np.flatnonzero(labels == label).tolist()) for label in np.unique(labels)}


@settings(max_examples=200, deadline=None)
@given(graph=graphs(), threshold=st.sampled_from([0.0, 0.3, 0.5, 0.9]))
def test_components_weakest_links_and_bridges_equal_networkx(graph, threshold):
    n, edges = graph
    a, b, score, _, _ = columns(edges)
    grouping = connected_components(n, a, b, score, threshold)
    oracle = nx.Graph()
    oracle.add_nodes_from(range(n))
    oracle.add_weighted_edges_from((a, b, score) for a, b, score, _, _ in edges if score >= threshold)
    assert sets(grouping.labels) == {frozenset(c) for c in nx.connected_components(oracle)}
    assert grouping.linked.tolist() == [edge[2] >= threshold for edge in edges]
    for label in range(grouping.n_groups):
        nodes = np.flatnonzero(grouping.labels == label)
        component = oracle.subgraph(nodes.tolist())
        weights = [w for _, _, w in nx.maximum_spanning_tree(component).edges(data="weight")]
        np.testing.assert_equal(grouping.weakest_link[label], min(weights, default=np.nan))
        assert grouping.n_bridges[label] == len(list(nx.bridges(component)))
        assert grouping.sizes[label] == len(nodes)


@pytest.mark.parametrize("seed", range(5))
def test_bridges_of_larger_graphs_equal_networkx(seed):
    rng = np.random.default_rng(seed)
    n = 400
    edges = np.unique(np.sort(rng.integers(0, n, size=(rng.integers(200, 900), 2)), axis=1), axis=0)
    a, b = edges[edges[:, 0] != edges[:, 1]].T
    grouping = connected_components(n, a, b, rng.random(len(a)), 0.0)
    oracle = nx.Graph(zip(a.tolist(), b.tolist(), strict=True))
    assert grouping.n_bridges.sum() == len(list(nx.bridges(oracle)))


def naive_groups(n, edges, threshold):
    """The rules as they are written in the module's text, one after the other, in sets."""
    links = [edge for edge in edges if edge[2] >= threshold]
    parts = {node: [e for e in links if e[3] != -1 and e[0] + e[1] - e[3] == node] for node in range(n)}
    hosts = {
        node
        for node, into in parts.items()
        if any(e[4] for e in into) and sum(e[4] for e in into) >= (2 if len(into) == 2 else len(into) / 2)
    }
    pasted = [e for e in links if e[4] or (e[3] != -1 and e[0] + e[1] - e[3] in hosts)]
    graph = nx.Graph()
    graph.add_nodes_from(range(n))
    graph.add_edges_from(e[:2] for e in links if e not in pasted)
    cores = [frozenset(c) for c in nx.connected_components(graph)]
    changed = True
    while changed:
        changed = False
        group_of = {node: frozenset(c) for c in nx.connected_components(graph) for node in c}
        for core in cores:
            contents = {node: set() for node in core}
            for e in pasted:
                host = e[0] + e[1] - e[3]
                if e[3] != -1 and host in core and group_of[e[3]] != group_of[host]:
                    contents[host].add(group_of[e[3]])
            groups = set().union(*contents.values())
            if len(groups) == 1 and all(contents.values()):
                graph.add_edge(next(iter(core)), next(iter(groups.pop())))
                changed = True
                break
    return {frozenset(c) for c in nx.connected_components(graph)}


@settings(max_examples=300, deadline=None)
@given(graph=graphs())
def test_containment_follows_its_rules(graph):
    n, edges = graph
    assert sets(run(n, edges).labels) == naive_groups(n, edges, 0.5)


@settings(max_examples=100, deadline=None)
@given(graph=graphs(), seed=st.integers(0, 2**32 - 1))
def test_the_order_of_nodes_and_edges_does_not_matter(graph, seed):
    n, edges = graph
    rng = np.random.default_rng(seed)
    renamed = rng.permutation(n).tolist()
    shuffled = []
    for position in rng.permutation(len(edges)):
        a, b, score, part, pasted = edges[position]
        sides = [renamed[a], renamed[b]]
        rng.shuffle(sides)
        shuffled.append((*sides, score, renamed[part] if part != -1 else -1, pasted))
    before, after = run(n, edges), run(n, shuffled)
    assert {frozenset(renamed[node] for node in group) for group in sets(before.labels)} == sets(after.labels)
    assert before.n_bridges.sum() == after.n_bridges.sum()


@settings(max_examples=200, deadline=None)
@given(graph=graphs(), min_side=st.integers(1, 3))
def test_links_that_alone_hold_two_parts_together_equal_networkx(graph, min_side):
    n, edges = graph
    a, b, *_ = columns(edges)
    grouping = run(n, edges)
    a, b = np.asarray(a, int), np.asarray(b, int)
    found = {
        frozenset(split.ends): {frozenset(part.tolist()) for part in split.parts}
        for split in bridges_of(grouping, a, b, min_side)
    }
    linked = nx.Graph(zip(a[grouping.linked].tolist(), b[grouping.linked].tolist(), strict=True))
    wanted = {}
    for edge in nx.bridges(linked):
        rest = linked.copy()
        rest.remove_edge(*edge)
        parts = {frozenset(nx.node_connected_component(rest, end)) for end in edge}
        if min(map(len, parts)) >= min_side:
            wanted[frozenset(edge)] = parts
    assert found == wanted


FULL, CROP, PASTED = (-1, False), (0, False), (0, True)


def link(part, whole, kind):
    return part, whole, 0.99, part if kind[0] == 0 else -1, kind[1]


def test_crops_of_one_photograph_are_joined_through_it():
    original, left, right = range(3)
    assert sets(run(3, [link(left, original, CROP), link(right, original, CROP)]).labels) == {
        frozenset(range(3))
    }


def test_a_collage_joins_none_of_its_photographs():
    collage, first, first_copy, second = range(4)
    edges = [
        link(first, collage, PASTED),
        link(first_copy, collage, PASTED),
        link(second, collage, PASTED),
        link(first, first_copy, FULL),
    ]
    grouping = run(4, edges)
    assert sets(grouping.labels) == {
        frozenset({collage}),
        frozenset({first, first_copy}),
        frozenset({second}),
    }
    assert grouping.linked.tolist() == [False, False, False, True]


def test_a_crop_of_a_photograph_in_a_collage_does_not_join_it_to_the_collage():
    collage, first, crop_of_first, second = range(4)
    edges = [
        link(first, collage, PASTED),
        link(crop_of_first, collage, CROP),
        link(crop_of_first, first, CROP),
        link(second, collage, PASTED),
    ]
    assert sets(run(4, edges).labels) == {
        frozenset({collage}),
        frozenset({first, crop_of_first}),
        frozenset({second}),
    }


def test_a_photograph_pasted_into_others_is_grouped_with_them():
    original, copy, framed, framed_smaller = range(4)
    edges = [link(original, copy, FULL)]
    edges += [link(part, host, PASTED) for part in (original, copy) for host in (framed, framed_smaller)]
    grouping = run(4, edges)
    assert sets(grouping.labels) == {frozenset(range(4))}
    assert grouping.n_bridges.tolist() == [0]


def test_copies_of_a_framed_photograph_follow_it_and_a_frame_in_a_frame_too():
    original, framed, framed_copy, framed_again = range(4)
    edges = [
        link(original, framed, PASTED),
        link(original, framed_copy, PASTED),
        link(framed, framed_copy, FULL),
        link(framed, framed_again, PASTED),
        link(original, framed_again, PASTED),
    ]
    assert sets(run(4, edges).labels) == {frozenset(range(4))}


def test_a_photograph_does_not_join_what_was_pasted_onto_its_copy():
    background, pasted_over, inset = range(3)
    edges = [link(background, pasted_over, FULL), link(inset, pasted_over, PASTED)]
    assert sets(run(3, edges).labels) == {frozenset({background, pasted_over}), frozenset({inset})}


def test_one_seam_seen_by_mistake_does_not_break_a_group():
    original, copy, *crops = range(6)
    edges = [link(original, copy, FULL)]
    edges += [link(crop, whole, CROP) for crop in crops for whole in (original, copy)]
    edges[1] = link(crops[0], original, PASTED)
    assert sets(run(6, edges).labels) == {frozenset(range(6))}


def test_one_seam_of_two_does_not_keep_the_other_crop_out():
    picture, crop, ends_on_a_line = range(3)
    edges = [link(crop, picture, CROP), link(ends_on_a_line, picture, PASTED)]
    assert sets(run(3, edges).labels) == {frozenset((picture, crop)), frozenset((ends_on_a_line,))}


def test_a_component_of_thousands_with_all_its_pairs():
    n = 2_000
    a, b = np.triu_indices(n, k=1)
    grouping = connected_components(n + 1, np.append(a, 0), np.append(b, n), np.ones(len(a) + 1), 0.5)
    assert grouping.n_groups == 1
    assert grouping.n_bridges.tolist() == [1]


@pytest.mark.parametrize("ends", ["star", "chain"])
def test_a_hundred_thousand_nodes_in_one_group(ends):
    n = 100_000
    b = np.arange(1, n)
    grouping = connected_components(n, np.zeros(n - 1) if ends == "star" else b - 1, b, np.ones(n - 1), 0.5)
    assert grouping.n_bridges.tolist() == [n - 1]


def test_groups_are_numbered_by_their_smallest_node_and_singles_left_out():
    grouping = connected_components(5, [4, 3], [1, 0], [1.0, 0.7], 0.7)
    assert grouping.labels.tolist() == [0, 1, 2, 0, 1]
    assert [group.tolist() for group in grouping.groups()] == [[0, 3], [1, 4]]
    assert [group.tolist() for group in grouping.groups(min_size=1)] == [[0, 3], [1, 4], [2]]


def test_nothing_to_group():
    assert connected_components(0, [], [], [], 0.5).n_groups == 0
    assert connected_components(3, [], [], [], 0.5).labels.tolist() == [0, 1, 2]


def test_an_edge_given_twice_counts_once_with_its_best_score():
    grouping = connected_components(2, [0, 1], [1, 0], [0.6, 0.9], 0.5)
    assert grouping.n_bridges.tolist() == [1]
    assert grouping.weakest_link.tolist() == [0.9]


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        (([0], [1, 2], [1.0]), "one length"),
        (([0], [3], [1.0]), "outside"),
        (([1], [1], [1.0]), "itself"),
    ],
)
def test_wrong_edges_are_refused(edges, message):
    with pytest.raises(UsageError, match=message):
        connected_components(3, *edges, 0.5)


def test_a_part_must_be_a_side_of_its_edge():
    with pytest.raises(UsageError, match="part"):
        connected_components(3, [0], [1], [1.0], 0.5, part=[2])
