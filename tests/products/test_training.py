from __future__ import annotations

import contextlib
import io
import json
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from product_vectors import make_products
from sklearn.utils.estimator_checks import check_estimator

from cvsim.errors import SettingsError, UsageError
from cvsim.products.estimators import ProductClassifier, ProductClusterer, ProductMetric
from cvsim.products.gallery import MAX_HELD_OUT, _rounds, classify
from cvsim.products.grouping import group
from cvsim.products.model import SignalSource, is_model_file, read_product_model
from cvsim.products.training import train

SOURCES = [SignalSource("made", 1, {"a": 1}), SignalSource("noise", 1, {})]


@pytest.fixture(scope="module")
def trained():
    rows, labels = make_products(12, 12)
    noise = np.random.default_rng(5).normal(size=rows.shape).astype(np.float32)
    names = [f"product {label:02}" for label in labels]
    return train([rows, noise], names, SOURCES, provenance={"from": "a test"})


def test_a_signal_of_noise_weighs_less(trained):
    made, noise = trained.signals
    assert made.weight > noise.weight
    assert made.weight + noise.weight == pytest.approx(1)


def test_a_model_knows_what_it_was_made_of(trained):
    assert trained.provenance["n_products"] == 12
    assert trained.provenance["from"] == "a test"
    assert 0 < trained.quality["ari"] <= 1
    assert trained.quality["ari_at_best_thresholds"] >= trained.quality["ari"] - 1e-9


def test_a_file_gives_the_same_model(trained, tmp_path):
    path = tmp_path / "model.npz"
    path.write_bytes(trained.to_bytes())
    again = read_product_model(path)
    rows, _ = make_products(6, 8, seed=3)
    noise = np.zeros_like(rows)
    assert np.array_equal(group(trained, [rows, noise]).labels, group(again, [rows, noise]).labels)
    assert np.array_equal(classify(trained, [rows, noise]).products, classify(again, [rows, noise]).products)
    assert again.provenance == dict(trained.provenance)
    assert again.to_bytes() == trained.to_bytes()
    assert is_model_file(path)


def test_a_file_holds_no_pickle(trained):
    with zipfile.ZipFile(io.BytesIO(trained.to_bytes())) as archive:
        for name in archive.namelist():
            np.load(io.BytesIO(archive.read(name)), allow_pickle=False)


def test_a_file_of_an_earlier_version_is_refused(trained, tmp_path):
    with np.load(io.BytesIO(trained.to_bytes())) as archive:
        arrays = dict(archive)
    about = {**json.loads(arrays["about"].tobytes()), "schema": "cvsim.product/2"}
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    np.savez(tmp_path / "model.npz", **arrays)
    with pytest.raises(SettingsError, match=r"cvsim\.product/2.*does not read"):
        read_product_model(tmp_path / "model.npz")


def test_a_pickle_in_place_of_a_model_is_refused(tmp_path):
    path = tmp_path / "evil.npz"
    np.savez(path, about=np.array([{"a": 1}], dtype=object))
    with pytest.raises(SettingsError, match="not a trained product profile"):
        read_product_model(path)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_an_error_of_ours_or_a_model(trained, tmp_path_factory, data):
    content = bytearray(trained.to_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content)))]
    for _ in range(3):
        if content:
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "model.npz"
    path.write_bytes(bytes(content))
    with contextlib.suppress(SettingsError):
        read_product_model(path)


@pytest.mark.parametrize("n_photos", [10, 300])
def test_a_round_learns_from_neither_its_strangers_nor_the_photos_that_it_tests(n_photos):
    codes = np.repeat(np.arange(24), n_photos)
    strangers = np.zeros(24, np.int64)
    for learn, test, left_out in _rounds(codes, np.random.default_rng(0)):
        assert not (learn & (test | left_out)).any()
        assert np.isin(codes[test], codes[learn]).all()
        assert not np.isin(codes[left_out], codes[learn]).any()
        assert 0 < test.sum() <= MAX_HELD_OUT
        assert left_out.sum() == min(2 * n_photos, MAX_HELD_OUT)
        strangers[np.unique(codes[left_out])] += 1
    assert (strangers == 1).all()


def test_unseen_photos_find_their_product_and_strangers_none(trained):
    rows, labels = make_products(12, 20)
    known = classify(trained, [rows, np.full_like(rows, np.nan)])
    strange, _ = make_products(12, 20, seed=77)
    unknown = classify(trained, [strange, np.full_like(strange, np.nan)])
    assert (known.products.argmax(axis=1) == labels).mean() > 0.9
    assert (unknown.codes == -1).mean() > (known.codes == -1).mean() + 0.3
    assert ((known.products.sum(axis=1) <= 1 + 1e-9) & (known.probability <= 1)).all()


def test_a_photo_without_evidence_is_none_of_these(trained):
    gap = np.full((1, 40), np.nan, np.float32)
    assert classify(trained, [gap, gap]).codes.tolist() == [-1]


@pytest.mark.parametrize(
    ("labels", "message"),
    [([1] * 6, "one label"), (list(range(6)), "single image"), ([0, 0, 1], "each image needs one")],
)
def test_labels_that_teach_nothing_are_refused(labels, message):
    rows, _ = make_products(6, 1)
    with pytest.raises(UsageError, match=message):
        train([rows], labels, SOURCES[:1])


def test_two_products_are_enough():
    rows, labels = make_products(2, 6)
    model = train([rows], labels, SOURCES[:1])
    assert group(model, [rows]).labels.shape == (12,)
    assert "note" in model.quality


def test_the_same_seed_gives_the_same_model():
    rows, labels = make_products(6, 6)
    first, second = (train([rows], labels, SOURCES[:1], seed=3).to_bytes() for _ in range(2))
    assert first == second


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "estimator",
    [ProductMetric(), ProductClusterer(), ProductClassifier(reject=False)],
    ids=lambda e: type(e).__name__,
)
def test_the_estimators_pass_the_checks_of_scikit_learn(estimator):
    failed = [
        (check["check_name"], check["exception"])
        for check in check_estimator(estimator, on_fail=None)
        if check["status"] == "failed"
    ]
    assert not failed


def test_the_classifier_answers_none_of_these():
    rows, labels = make_products(8, 12)
    fitted = ProductClassifier().fit(rows, labels)
    strange, _ = make_products(8, 12, seed=50)
    assert -1 in fitted.predict(strange)
    named = ProductClassifier().fit(rows, [f"p{label}" for label in labels])
    assert "-1" in named.predict(strange)
    assert fitted.predict_proba(rows).shape == (96, 8)


def test_blocks_must_add_up():
    rows, labels = make_products(4, 4)
    with pytest.raises(ValueError, match="add up"):
        ProductMetric(blocks=(3, 4)).fit(rows, labels)
    assert ProductMetric(blocks=(30, 10)).fit(rows, labels).transform(rows).shape[0] == 16
