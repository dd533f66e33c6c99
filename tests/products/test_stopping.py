"""The number of products is found where it is not told, and copies never part."""

from __future__ import annotations

import numpy as np
import pytest
from generate import save_image, scene
from hypothesis import HealthCheck, given, settings, strategies as st
from sklearn.metrics import adjusted_rand_score

from cvsim.api.products import cluster
from cvsim.errors import UsageError
from cvsim.products import stopping
from cvsim.products.grouping import group, untrained
from cvsim.products.model import SignalSource
from cvsim.products.stopping import agreement, stop
from cvsim.recipes.products import cluster_features

SOURCE = [SignalSource("made", 1, {})]


def rows_of(sizes: list[int], spread: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    centres = rng.normal(size=(len(sizes), 24))
    return (centres[labels] + rng.normal(size=(len(labels), 24)) * spread).astype(np.float32), labels


@pytest.mark.parametrize("sizes", [[4] * 40, [3, 5, 2, 6] * 10, [60] * 8, [30, 45, 70, 100] * 2])
def test_few_and_many_photos_a_product_are_both_found(sizes):
    rows, labels = rows_of(sizes, 0.4)
    found = group(untrained([rows], SOURCE), [rows])
    assert adjusted_rand_score(labels, found.labels) > 0.85
    for wrong in (0.5, 1, 2):
        told = group(untrained([rows], SOURCE), [rows], photos_per_product=np.mean(sizes) * wrong)
        assert adjusted_rand_score(labels, told.labels) > 0.8


def test_what_the_products_learned_from_had_tells_few_photos_from_many():
    # Four photos each, but every product lies in a dense place of eleven: the neighbours thin out late.
    rng = np.random.default_rng(0)
    kinds = np.repeat(np.arange(8), 44)
    labels = np.repeat(np.arange(88), 4)
    rows = rng.normal(size=(8, 24))[kinds] + 0.5 * rng.normal(size=(88, 24))[labels]
    rows = (rows + 0.15 * rng.normal(size=rows.shape)).astype(np.float32)
    index = {}
    for photos in (None, 4.0, 44.0):
        source = [SignalSource("made", 1, {} if photos is None else {"photos_per_product": photos})]
        found = group(untrained([rows], source), [rows])
        index[photos] = adjusted_rand_score(labels, found.labels)
    assert index[4.0] > 0.9 > index[44.0]
    assert index[None] in (index[4.0], index[44.0])


def test_few_and_many_photos_in_one_collection_are_found():
    rows, labels = rows_of([2, 60, 5, 3, 40, 20, 9, 4, 30, 12] * 2, 0.4)
    for told in (None, 9, 18, 36):
        found = group(untrained([rows], SOURCE), [rows], photos_per_product=told)
        assert adjusted_rand_score(labels, found.labels) > 0.85


def test_photos_of_one_moment_are_no_product_where_products_hold_together():
    rng = np.random.default_rng(0)
    moments = np.arange(15 * 20)
    centres = rng.normal(size=(15, 24))[moments // 20] + 0.5 * rng.normal(size=(len(moments), 24))
    rows = np.repeat(centres, 2, axis=0)
    rows = (rows + 0.15 * rng.normal(size=rows.shape)).astype(np.float32)
    labels = np.repeat(moments // 20, 2)
    for told in (None, 20, 40, 80):
        found = group(untrained([rows], SOURCE), [rows], photos_per_product=told)
        assert found.many_photos
        assert adjusted_rand_score(labels, found.labels) > 0.85


@pytest.mark.parametrize("photos", [None, 4.0, 9.0, 20.0])
def test_the_same_collection_is_parted_the_same(photos, monkeypatch):
    monkeypatch.setattr(stopping, "N_MEASURED", 80)
    rows, labels = rows_of([6] * 25, 0.3)
    first, second = stop(rows, photos), stop(rows, photos)
    assert first.labels.tolist() == second.labels.tolist()
    assert (first.alternative, first.many_photos) == (second.alternative, second.many_photos)
    assert photos == 20.0 or adjusted_rand_score(labels, first.labels) > 0.8


@pytest.mark.parametrize("photos", [None, 1.0, 2.0, 5.0, 9.0, 40.0])
@pytest.mark.parametrize("n", [3, 4, 5, 8])
def test_very_few_pictures_are_parted_whatever_is_told(n, photos):
    rows, _ = rows_of([1] * n, 0.0, n)
    labels = stop(rows, photos).labels
    assert sorted(set(labels.tolist())) == list(range(labels.max() + 1))
    assert len(labels) == n


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=40))
def test_agreement_is_the_adjusted_rand_index(pairs):
    labels, others = np.array(pairs).T
    assert agreement(labels, others) == pytest.approx(adjusted_rand_score(labels, others))


@pytest.mark.parametrize("n", [2, 3, 6, 17, 40])
@pytest.mark.parametrize("n_others", [0, 1, 2, 5, 30])
def test_identical_and_nearly_identical_vectors_share_a_label(n, n_others):
    others, _ = rows_of([1] * n_others, 0.4, n)
    rng = np.random.default_rng(n)
    same = rng.normal(size=24) + rng.normal(size=(n, 24)) * 1e-3
    rows = np.vstack([same, others]).astype(np.float32)
    for how in ({}, {"photos_per_product": 2.0}, {"method": "average"}, {"n_clusters": 1 + n_others}):
        labels = group(untrained([rows], SOURCE), [rows], **how).labels
        assert len(set(labels[:n].tolist())) == 1
    assert len(set(cluster_features(rows).labels[:n].tolist())) == 1


@settings(max_examples=5, suppress_health_check=list(HealthCheck))
@given(st.integers(2, 40), st.integers(0, 5))
def test_identical_files_share_a_label(tmp_path_factory, n, n_others):
    folder = tmp_path_factory.mktemp("copies")
    content = save_image(folder / "same.png", scene(0, 96, 72)).read_bytes()
    for i in range(1, n):
        (folder / f"same {i}.png").write_bytes(content)
    for i in range(n_others):
        save_image(folder / f"other {i}.png", scene(1 + i, 96, 72))
    found = cluster(folder, cache=None, workers=1)
    labels = dict(zip(found.files, found.labels.tolist(), strict=True))
    assert len({label for file, label in labels.items() if file.startswith("same")}) == 1
    assert min(labels.values()) == 0


@pytest.mark.parametrize("n", range(1, 21))
def test_small_collections_have_a_label_a_picture(n):
    rows, _ = rows_of([1] * n, 0.0, n)
    labels = cluster_features(rows).labels
    assert len(labels) == n
    assert labels[0] == 0


def test_what_is_told_excludes_the_rest():
    rows, _ = rows_of([3] * 4, 0.3)
    model = untrained([rows], SOURCE)
    with pytest.raises(UsageError, match="exclude"):
        group(model, [rows], photos_per_product=3, n_clusters=2)
    with pytest.raises(UsageError, match="measured"):
        group(model, [rows], photos_per_product=3, method="ward")
