from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from product_vectors import make_products
from scipy.spatial.distance import pdist
from sklearn.metrics import adjusted_rand_score

from cvsim.errors import UsageError
from cvsim.products.grouping import group, group_by_cosine, untrained
from cvsim.products.methods import FREE, METHODS
from cvsim.products.model import MergeCurve, SignalSource
from cvsim.products.partition import (
    build_tree,
    condensed_distances,
    density,
    kmeans,
    merge_agreement,
)
from cvsim.products.training import _Agreement, train
from cvsim.recipes.products import cluster_features

WITHOUT_THRESHOLD = ("chance", "reciprocal", "measured", "hdbscan", "affinity", "leiden")


def random_rows(n, seed):
    return np.random.default_rng(seed).normal(size=(n, 4)).astype(np.float32)


@settings(max_examples=25, deadline=None)
@given(n=st.integers(2, 40), seed=st.integers(0, 99), height=st.floats(0.1, 4))
def test_components_are_those_of_the_graph_of_near_pairs(n, seed, height):
    rows = random_rows(n, seed)
    distance = np.linalg.norm(rows[:, None].astype(float) - rows[None], axis=2)
    off = np.abs(distance - height)
    if off.min() < 1e-4:
        return
    graph = nx.Graph()
    graph.add_nodes_from(range(n))
    graph.add_edges_from(np.argwhere(np.triu(distance <= height, 1)).tolist())
    labels = build_tree(rows, "components").cut(height)
    found = {frozenset(np.flatnonzero(labels == label).tolist()) for label in np.unique(labels)}
    assert found == {frozenset(component) for component in nx.connected_components(graph)}


def test_distances_are_those_of_scipy_across_blocks():
    rows = random_rows(1100, 0)
    assert np.allclose(condensed_distances(rows), pdist(rows.astype(float)), atol=2e-3)


def test_merge_agreement_counts_every_pair_once():
    rows, labels = random_rows(30, 1), np.random.default_rng(2).integers(0, 4, 30)
    same, pairs = merge_agreement(build_tree(rows, "average"), labels)
    assert pairs.sum() == 30 * 29 / 2
    sizes = np.bincount(labels)
    assert same.sum() == (sizes * (sizes - 1) / 2).sum()


@pytest.mark.parametrize("method", [method for method in METHODS if method not in WITHOUT_THRESHOLD])
def test_every_method_parts_clear_groups(method):
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(6), 8)
    rows = (np.eye(6)[labels] * 5 + rng.normal(size=(48, 6)) * 0.1).astype(np.float32)
    found = group_by_cosine(rows, 0.9, method)
    assert adjusted_rand_score(labels, found) == 1.0


def test_against_chance_a_tree_stays_a_tree_and_large_groups_need_less():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(5), 30)
    rows = (np.eye(5)[labels] * 0.8 + rng.normal(size=(150, 5)) * 0.2).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    tree = build_tree(rows, "chance")
    children = tree.merges[:, :2].astype(int) - tree.n_images
    for merge, pair in enumerate(children):
        assert all(tree.heights[child] <= tree.heights[merge] for child in pair if child >= 0)
    found = tree.cut(np.exp(-4.0))
    assert adjusted_rand_score(labels, found) > 0.6
    with pytest.raises(UsageError, match="chance"):
        group_by_cosine(rows, 0.9, "chance")


@pytest.mark.parametrize("method", ["ward", "average", "components", "chance"])
def test_the_agreement_of_a_cut_is_that_of_its_labels(method):
    rng = np.random.default_rng(3)
    rows, codes = random_rows(40, 4), rng.integers(0, 5, 40)
    tree = build_tree(rows, method)
    heights = np.quantile(tree.heights, [0.0, 0.3, 0.6, 0.9, 1.0])
    found = _Agreement.of(tree, codes).ari(heights)
    expected = [adjusted_rand_score(codes, tree.cut(height)) for height in heights]
    assert found == pytest.approx(expected)


def test_ninety_five_percent_similar_is_inclusive_and_means_the_cosine():
    angle = np.arccos(0.951)
    rows = np.array([[1, 0], [np.cos(angle), np.sin(angle)], [0, 1]], np.float32)
    assert group_by_cosine(rows, 0.95).tolist() == [0, 0, 1]
    assert group_by_cosine(rows, 0.96).tolist() == [0, 1, 2]


def test_k_means_and_density_label_every_image():
    rows = random_rows(20, 3)
    assert set(kmeans(rows, 4).tolist()) == {0, 1, 2, 3}
    assert len(set(density(rows, 1e-6).tolist())) == 20


def test_a_merge_curve_is_its_own_inverse_and_falls():
    curve = MergeCurve(2.0, -5.0)
    for probability in (0.1, 0.5, 0.95):
        assert curve.probability(curve.height(probability)) == pytest.approx(probability)
    assert curve.height(0.9) < curve.height(0.1)


@pytest.mark.parametrize("method", [method for method in METHODS if method != "leiden"])
def test_a_trained_model_groups_new_products(method):
    seen, seen_labels = make_products(16, 10, seed=1)
    new, new_labels = make_products(8, 10, seed=2)
    model = train([seen], seen_labels, [SignalSource("made", 1, {})], with_gallery=False)
    assert adjusted_rand_score(new_labels, group(model, [new], method=method).labels) > 0.8
    assert 0 <= model.grouping.thresholds["ward"] <= 1


def test_a_picture_without_evidence_stands_alone():
    rows, _ = make_products(5, 6)
    rows[[0, 7]] = np.nan
    found = group(untrained([rows], [SignalSource("made", 1, {})]), [rows]).labels
    for row in (0, 7):
        assert (found == found[row]).sum() == 1


def test_without_answers_a_network_counts_half():
    rows = random_rows(5, 0)
    for name, weights in {"gradient": [1 / 2, 1 / 2], "embedding": [2 / 3, 1 / 3]}.items():
        model = untrained([rows, rows], [SignalSource("made", 1, {}), SignalSource(name, 1, {})])
        assert [signal.weight for signal in model.signals] == pytest.approx(weights)


def test_wrong_requests_are_refused():
    rows = random_rows(5, 0)
    with pytest.raises(UsageError, match="known: ward"):
        group_by_cosine(rows, 0.5, "magic")
    model = untrained([rows], [SignalSource("made", 1, {})])
    with pytest.raises(UsageError, match="cannot make 9 groups"):
        group(model, [rows], n_clusters=9)
    with pytest.raises(UsageError, match="density"):
        group(model, [rows], method="density", n_clusters=2)


@pytest.mark.parametrize("method", ["hdbscan", "affinity", "spectral", "kmeans", "leiden"])
def test_methods_by_libraries_find_plain_groups(method):
    if method == "leiden":
        pytest.importorskip("leidenalg", reason="the extra graph is not installed")
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(6), 12)
    rows = (np.eye(6)[labels] * 5 + rng.normal(size=(72, 6)) * 0.3).astype(np.float32)
    model = untrained([rows], [SignalSource("made", 1, {})])
    assert adjusted_rand_score(labels, group(model, [rows], method=method).labels) > 0.95
    if method in FREE:
        with pytest.raises(UsageError, match="itself"):
            group(model, [rows], method=method, n_clusters=3)
    else:
        assert len(set(group(model, [rows], method=method, n_clusters=3).labels.tolist())) == 3


@pytest.mark.parametrize("method", ["hdbscan", "affinity", "spectral"])
@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_methods_by_libraries_take_a_few_pictures(method, n):
    rows = np.random.default_rng(n).normal(size=(n, 4)).astype(np.float32)
    assert len(cluster_features(rows, method=method).labels) == n
