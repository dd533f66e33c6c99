from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from product_vectors import make_products

from cvsim.errors import UsageError
from cvsim.products.metric import fit_metric, reduce, spread_evenly, whiten_within


def nearest_is_same(vectors: np.ndarray, labels: np.ndarray) -> float:
    cosine = vectors @ vectors.T
    np.fill_diagonal(cosine, -2)
    return float((labels[cosine.argmax(axis=1)] == labels).mean())


def test_what_is_learned_from_some_products_serves_others():
    seen, seen_labels = make_products(12, 12, seed=1)
    new, new_labels = make_products(12, 12, seed=2)
    unit = new / np.linalg.norm(new, axis=1, keepdims=True)
    learned = fit_metric(seen, seen_labels)(new)
    assert nearest_is_same(learned, new_labels) > nearest_is_same(unit, new_labels) + 0.1


def test_whitening_evens_out_the_scatter_within_products():
    rows, labels = make_products(10, 30, n_dims=8)
    whitened = (rows - rows.mean(axis=0)) @ whiten_within(rows - rows.mean(axis=0), labels, shrinkage=0.0)
    deviations = whitened - np.stack([whitened[labels == label].mean(axis=0) for label in labels])
    scatter = deviations.T @ deviations / (len(rows) - 10)
    assert np.allclose(scatter, np.eye(8), atol=1e-2)


@settings(max_examples=25, deadline=None)
@given(n=st.integers(3, 30), d=st.integers(1, 30), seed=st.integers(0, 99))
def test_principal_components_are_those_of_the_singular_values(n, d, seed):
    rows = np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)
    found = reduce(rows, 5)
    mapped = (rows - found.mean) @ found.projection
    singular = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False)[: mapped.shape[1]]
    assert np.allclose(np.linalg.norm(mapped, axis=0), singular, rtol=1e-2, atol=1e-2)


def test_a_row_without_evidence_becomes_zeros_and_changes_no_other():
    rows, labels = make_products(6, 5)
    found = fit_metric(rows, labels)
    with_gap = rows.copy()
    with_gap[3] = np.nan
    assert not found(with_gap)[3].any()
    others = np.delete(found(rows), 3, axis=0)
    assert np.allclose(np.delete(found(with_gap), 3, axis=0), others, atol=1e-5)
    assert np.allclose(np.linalg.norm(found(rows), axis=1), 1, atol=1e-5)
    assert np.isfinite(spread_evenly(with_gap)(with_gap)).all()


def test_single_photos_teach_nothing():
    rows, _ = make_products(6, 1)
    with pytest.raises(UsageError, match="single picture"):
        fit_metric(rows, np.arange(6))


def test_the_metric_names_its_columns_and_wants_a_label_for_each_row():
    from cvsim import ProductMetric

    rows, labels = make_products(4, 5)
    metric = ProductMetric().fit(rows, labels)
    names = metric.get_feature_names_out().tolist()
    assert len(names) == metric.transform(rows).shape[1]
    assert names[0] == "productmetric0"
    for bad in (None, float("nan")):
        with pytest.raises(ValueError, match="None or NaN"):
            ProductMetric().fit(rows, [bad, *labels[1:].tolist()])
