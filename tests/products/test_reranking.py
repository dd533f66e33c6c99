"""Distances by shared neighbours, against the paper's steps written down one by one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform

from cvsim.products.partition import build_tree
from cvsim.products.reranking import near_enough, reciprocal_distances


def as_in_the_paper(vectors: np.ndarray, n_near: int) -> np.ndarray:
    """The distances by sets and loops, from all pairs."""
    n = len(vectors)
    apart = squareform(pdist(vectors))
    largest = apart.max()
    order = np.argsort(apart, axis=1, kind="stable")
    mixed = max(1, round(0.3 * n_near))

    def mutual(i: int, k: int) -> set[int]:
        return {j for j in order[i, :k].tolist() if i in order[j, :k].tolist()}

    n_whole = min(n_near + 1, n)
    n_half = (n_whole + 1) // 2
    weights = np.zeros((n, n))
    for i in range(n):
        own = mutual(i, n_whole)
        members = set(own)
        for j in own:
            theirs = mutual(j, n_half)
            if len(theirs & own) >= 2 / 3 * len(theirs):
                members |= theirs
        weights[i, list(members)] = np.exp(-apart[i, list(members)] / largest)
    weights /= weights.sum(axis=1, keepdims=True)
    weights = np.stack([weights[order[i, :mixed]].mean(axis=0) for i in range(n)])
    found = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            overlap = np.minimum(weights[i], weights[j]).sum() / np.maximum(weights[i], weights[j]).sum()
            found[i, j] = 0.3 * apart[i, j] / largest + 0.7 * (1 - overlap)
    np.fill_diagonal(found, 0)
    return squareform(found, checks=False)


@pytest.mark.parametrize(("n", "n_near"), [(2, 6), (5, 20), (40, 6), (70, 20)])
def test_they_are_those_of_the_paper(n: int, n_near: int) -> None:
    vectors = np.random.default_rng(n).normal(size=(n, 5)).astype(np.float32)
    found = reciprocal_distances(vectors, pdist(vectors), n_near)
    np.testing.assert_allclose(found, as_in_the_paper(vectors, n_near), atol=1e-6)


def test_a_chain_of_neighbours_is_nearer_than_a_stranger_at_the_same_distance() -> None:
    rng = np.random.default_rng(3)
    dense = rng.normal([3, 0, 0, 0], 0.3, size=(20, 4))
    sparse = rng.normal([-3, 0, 0, 0], 1.2, size=(20, 4))
    vectors = np.vstack([dense, sparse]).astype(np.float32)
    labels = build_tree(vectors, "reciprocal", near_enough(20)).cut_into(2)
    assert labels.tolist() == [0] * 20 + [1] * 20


@pytest.mark.parametrize("n", [1, 2, 3, 30])
def test_equal_pictures_have_finite_distances(n: int) -> None:
    vectors = np.ones((n, 3), np.float32)
    assert np.isfinite(build_tree(vectors, "reciprocal").heights).all()
