from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from product_vectors import make_products

from cvsim.errors import SettingsError, UsageError
from cvsim.features.local import KEYPOINT
from cvsim.learning.gallery import classify
from cvsim.learning.keypoints import Keypoints, n_shared
from cvsim.learning.model import read_model
from cvsim.learning.training import SignalSource, train

SOURCES = [SignalSource("made", 1, {})]
N_PRODUCTS, N_PHOTOS = 12, 12


def print_of(product: int, n: int = 60) -> np.ndarray:
    """What is printed on a package."""
    rng = np.random.default_rng(product)
    found = np.zeros(n, KEYPOINT)
    found["x"], found["y"] = rng.uniform(0, 300, (2, n))
    found["angle"], found["level"] = rng.integers(0, 256, n), rng.integers(0, 4, n)
    found["bits"] = rng.integers(0, 256, (n, 32))
    return found


def photographed(keypoints: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Two thirds of a print, moved, among as much that is not of it."""
    seen = keypoints[rng.permutation(len(keypoints))[: len(keypoints) * 2 // 3]].copy()
    seen["x"] += rng.uniform(-40, 40)
    seen["y"] += rng.uniform(-40, 40)
    return np.concatenate([seen, print_of(int(rng.integers(10_000, 2**31)), len(seen))])


def photos_of(products: np.ndarray, seed: int) -> Keypoints:
    rng = np.random.default_rng(seed)
    return Keypoints(tuple(photographed(print_of(int(p)), rng) for p in products), "print:1")


def vectors_of(products: np.ndarray, seed: int) -> np.ndarray:
    """Two products each look alike but for their print."""
    rows, labels = make_products(N_PRODUCTS, N_PHOTOS, seed=seed)
    centres = {p: rows[labels == p // 2] for p in range(2 * N_PRODUCTS)}
    rng = np.random.default_rng(seed + 1)
    noise = rng.normal(size=(len(products), rows.shape[1])).astype(np.float32) * 0.2
    return np.stack([centres[p][rng.integers(0, N_PHOTOS)] for p in products.tolist()]) + noise


STRANGERS = np.arange(1, 2 * N_PRODUCTS, 4)
"""Each is one of a pair, the other of which is known. Of the other pairs, both are known."""
LEARNED = np.repeat(np.setdiff1d(np.arange(2 * N_PRODUCTS), STRANGERS), N_PHOTOS)


@pytest.fixture(scope="module")
def trained():
    return train(
        [vectors_of(LEARNED, 0)], LEARNED, SOURCES, keypoints=photos_of(LEARNED, 0), with_grouping=False
    )


def test_photos_of_one_print_share_more_than_photos_of_two():
    rng = np.random.default_rng(0)
    one, again, other = (photographed(print_of(p), rng) for p in (1, 1, 2))
    assert n_shared(one, again) > 15 > 8 > n_shared(one, other)


def test_without_keypoints_nothing_is_shared():
    none = np.zeros(0, KEYPOINT)
    assert n_shared(none, print_of(0)) == n_shared(print_of(0), none) == n_shared(none, none) == 0


def test_the_most_shared_is_that_of_the_best_of_the_nearest():
    photos, others = photos_of(np.array([3, 4]), 0), photos_of(np.array([3, 4, 5]), 1)
    nearest = np.array([[0, 2], [2, 0]])
    expected = [
        max(n_shared(row, others.rows[j]) for j in near)
        for row, near in zip(photos.rows, nearest, strict=True)
    ]
    assert photos.most_shared(others, nearest).tolist() == expected


def test_keypoints_tell_a_stranger_that_looks_like_a_known_product(trained):
    plain = train([vectors_of(LEARNED, 0)], LEARNED, SOURCES, with_grouping=False)
    rejected = {}
    for name, products in {"known": LEARNED, "sibling": np.repeat(STRANGERS, N_PHOTOS)}.items():
        blocks = [vectors_of(products, 0)]
        found = classify(trained, blocks, photos_of(products, 7))
        rejected[name] = (found.codes == -1).mean(), (classify(plain, blocks).codes == -1).mean()
    assert rejected["known"][0] < 0.15
    assert rejected["sibling"][0] > rejected["sibling"][1] + 0.3


def test_a_file_keeps_the_keypoints(trained, tmp_path):
    path = tmp_path / "model.npz"
    path.write_bytes(trained.to_bytes())
    again = read_model(path)
    blocks, keypoints = [vectors_of(LEARNED, 0)], photos_of(LEARNED, 3)
    assert again.to_bytes() == trained.to_bytes()
    assert np.array_equal(
        classify(trained, blocks, keypoints).products, classify(again, blocks, keypoints).products
    )


def test_a_profile_with_keypoints_asks_for_those_of_new_photos(trained):
    with pytest.raises(UsageError, match="keypoints"):
        classify(trained, [vectors_of(LEARNED, 0)])


def test_as_many_keypoints_as_labels_are_needed():
    with pytest.raises(UsageError, match="keypoints of 3 images"):
        train([vectors_of(LEARNED, 0)], LEARNED, SOURCES, keypoints=photos_of(LEARNED[:3], 0))


@pytest.mark.parametrize(
    "spoilt",
    [
        {"keypoints": np.zeros((4, 3), np.uint8)},
        {"keypoints": np.zeros((4, KEYPOINT.itemsize))},
        {"n_keypoints": np.array([1, 1])},
        {"n_keypoints": np.array([-1, 5])},
        {"keypoints": np.full((4, KEYPOINT.itemsize), 255, np.uint8)},
    ],
    ids=["shape", "type", "too few", "negative", "not finite"],
)
def test_arrays_that_hold_no_keypoints_are_refused(spoilt):
    arrays = {"keypoints": np.zeros((4, KEYPOINT.itemsize), np.uint8), "n_keypoints": np.array([1, 3])}
    assert [len(row) for row in Keypoints.from_arrays(arrays, "print:1").rows] == [1, 3]
    with pytest.raises(ValueError, match="keypoints"):
        Keypoints.from_arrays({**arrays, **spoilt}, "print:1")


def test_keypoints_of_other_photos_make_no_model(trained, tmp_path):
    gallery = replace(trained.gallery, keypoints=photos_of(LEARNED[:5], 0))
    path = tmp_path / "model.npz"
    path.write_bytes(replace(trained, gallery=gallery).to_bytes())
    with pytest.raises(SettingsError, match="keypoints"):
        read_model(path)
