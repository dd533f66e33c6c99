from __future__ import annotations

import functools
from dataclasses import replace

import cv2
import numpy as np
import pytest
from generate import RGB, scene
from product_vectors import make_products

from cvsim.errors import SettingsError, UsageError
from cvsim.features.local import KEYPOINT, Local
from cvsim.images.decode import thumbnail
from cvsim.products.details import Details, likeness
from cvsim.products.gallery import classify
from cvsim.products.model import SignalSource, read_product_model
from cvsim.products.training import train

SOURCES = [SignalSource("made", 1, {})]
N_PRODUCTS, N_PHOTOS = 10, 8
WIDTH, HEIGHT = 280, 210


@functools.cache
def package(product: int) -> RGB:
    """Two products each are of one brand, whose name is on the upper third."""
    brand, flavour = scene(product // 2, WIDTH, HEIGHT), scene(100 + product, WIDTH, HEIGHT)
    return np.vstack([brand[: HEIGHT // 3], flavour[HEIGHT // 3 :]])


def photographed(product: int, rng: np.random.Generator) -> RGB:
    """A package, turned and moved a little, darker or brighter."""
    turned = cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), rng.uniform(-6, 6), rng.uniform(0.9, 1.1))
    turned[:, 2] += rng.uniform(-12, 12, 2)
    moved = cv2.warpAffine(package(product), turned, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)
    return np.clip(moved * rng.uniform(0.8, 1.1), 0, 255).astype(np.uint8)


def details_of(products: np.ndarray, seed: int, picture_px: int = 176) -> Details:
    rng, local = np.random.default_rng(seed), Local()
    photos = [photographed(int(product), rng) for product in products]
    found = [local.extract(rgb) for rgb in photos]
    return Details(
        tuple(descriptor.keypoints for descriptor in found),
        tuple(thumbnail(rgb, picture_px) for rgb in photos),
        np.array([max(descriptor.width_px, descriptor.height_px) for descriptor in found], np.int64),
        local.key,
    )


def vectors_of(products: np.ndarray, seed: int) -> np.ndarray:
    """Two products of a brand look alike but for their print."""
    rows, labels = make_products(N_PRODUCTS, N_PHOTOS, seed=seed)
    centres = {p: rows[labels == p // 2] for p in range(2 * N_PRODUCTS)}
    rng = np.random.default_rng(seed + 1)
    noise = rng.normal(size=(len(products), rows.shape[1])).astype(np.float32) * 0.2
    return np.stack([centres[p][rng.integers(0, N_PHOTOS)] for p in products.tolist()]) + noise


STRANGERS = np.arange(1, 2 * N_PRODUCTS, 4)
"""Each is one of a pair, the other of which is known. Of the other pairs, both are known."""
LEARNED = np.repeat(np.setdiff1d(np.arange(2 * N_PRODUCTS), STRANGERS), N_PHOTOS)


@pytest.fixture(scope="module")
def learned() -> Details:
    return details_of(LEARNED, 0)


@pytest.fixture(scope="module")
def trained(learned):
    return train([vectors_of(LEARNED, 0)], LEARNED, SOURCES, details=learned, with_grouping=False)


def test_photos_of_one_package_are_more_alike_than_those_of_two_of_a_brand():
    photos = details_of(np.array([2, 2, 3, 8]), 0)
    again, sibling, other = (likeness(photos, 0, photos, k) for k in (1, 2, 3))
    assert again > 0.8 > sibling + 0.2
    assert again > sibling >= other >= 0


def test_likeness_does_not_hang_on_the_size_of_the_picture():
    photos = details_of(np.array([2, 2]), 0)
    smaller = details_of(np.array([2, 2]), 0, picture_px=120)
    assert likeness(photos, 0, smaller, 1) == pytest.approx(likeness(photos, 0, photos, 1), abs=0.1)


def test_without_keypoints_or_a_picture_nothing_is_alike():
    photos = details_of(np.array([2, 2]), 0)
    none = replace(photos, keypoints=(np.zeros(0, KEYPOINT),) * 2)
    unseen = replace(photos, pictures=(b"", b""))
    spoilt = replace(photos, pictures=(b"no picture", photos.pictures[0][:40]))
    for other in (none, unseen, spoilt):
        assert likeness(photos, 0, other, 1) == likeness(other, 1, photos, 0) == 0
        assert likeness(other, 0, other, 1) == 0


@pytest.mark.parametrize("longest_px", [1, 10**9])
def test_a_size_that_no_picture_has_is_not_believed(longest_px):
    photos = details_of(np.array([2, 2]), 0)
    absurd = replace(photos, longest_px=np.full(2, longest_px))
    assert likeness(photos, 0, absurd, 1) == likeness(absurd, 0, photos, 1) == 0


def test_the_most_alike_is_the_best_of_the_nearest(learned):
    photos = learned.take(np.array([0, 1]))
    nearest = np.array([[2, 40], [40, 3]])
    expected = [max(likeness(photos, i, learned, j) for j in near) for i, near in enumerate(nearest.tolist())]
    assert photos.most_alike(learned, nearest).tolist() == expected


def test_details_tell_a_stranger_that_looks_like_a_known_product(trained):
    without = train([vectors_of(LEARNED, 0)], LEARNED, SOURCES, with_grouping=False)
    rejected = {}
    for name, products in {"known": LEARNED[::2], "sibling": np.repeat(STRANGERS, N_PHOTOS)}.items():
        blocks = [vectors_of(products, 0)]
        found = classify(trained, blocks, details_of(products, 7))
        rejected[name] = (found.codes == -1).mean(), (classify(without, blocks).codes == -1).mean()
    assert rejected["known"][0] < 0.15
    assert rejected["sibling"][0] > rejected["sibling"][1] + 0.3


def test_a_file_keeps_the_details(trained, learned, tmp_path):
    path = tmp_path / "model.npz"
    path.write_bytes(trained.to_bytes())
    again = read_product_model(path)
    blocks, details = [vectors_of(LEARNED, 0)[:9]], learned.take(np.arange(9))
    assert again.to_bytes() == trained.to_bytes()
    assert np.array_equal(
        classify(trained, blocks, details).products, classify(again, blocks, details).products
    )


def test_a_profile_with_details_asks_for_those_of_new_photos(trained):
    with pytest.raises(UsageError, match="details"):
        classify(trained, [vectors_of(LEARNED, 0)])


def test_as_many_details_as_labels_are_needed(learned):
    with pytest.raises(UsageError, match="details of 3 images"):
        train([vectors_of(LEARNED, 0)], LEARNED, SOURCES, details=learned.take(np.arange(3)))


@pytest.mark.parametrize(
    "spoilt",
    [
        {"keypoints": np.zeros((4, 3), np.uint8)},
        {"keypoints": np.zeros((4, KEYPOINT.itemsize))},
        {"n_keypoints": np.array([1, 1])},
        {"n_keypoints": np.array([-1, 5])},
        {"n_keypoints": np.array([4])},
        {"keypoints": np.full((4, KEYPOINT.itemsize), 255, np.uint8)},
        {"pictures": np.zeros(7)},
        {"pictures": np.zeros((7, 1), np.uint8)},
        {"n_bytes": np.array([2, 4])},
        {"n_bytes": np.array([2.0, 5.0])},
        {"longest_px": np.array([0, 300])},
        {"longest_px": np.array([300, 300, 300])},
    ],
)
def test_arrays_that_hold_no_details_are_refused(spoilt):
    arrays = {
        "keypoints": np.zeros((4, KEYPOINT.itemsize), np.uint8),
        "n_keypoints": np.array([1, 3]),
        "pictures": np.arange(7, dtype=np.uint8),
        "n_bytes": np.array([2, 5]),
        "longest_px": np.array([400, 300]),
    }
    found = Details.from_arrays(arrays, "print:1")
    assert [len(row) for row in found.keypoints] == [1, 3]
    assert found.pictures == (b"\x00\x01", b"\x02\x03\x04\x05\x06")
    with pytest.raises(ValueError, match="the gallery's"):
        Details.from_arrays({**arrays, **spoilt}, "print:1")


def test_details_of_other_photos_make_no_model(trained, learned, tmp_path):
    gallery = replace(trained.gallery, details=learned.take(np.arange(5)))
    path = tmp_path / "model.npz"
    path.write_bytes(replace(trained, gallery=gallery).to_bytes())
    with pytest.raises(SettingsError, match="details"):
        read_product_model(path)


@pytest.mark.parametrize("name", ["vectors", "plain"])
def test_a_gallery_that_is_not_finite_makes_no_model(trained, name, tmp_path):
    vectors = getattr(trained.gallery, name).copy()
    vectors[0, 0] = np.nan
    path = tmp_path / "model.npz"
    path.write_bytes(replace(trained, gallery=replace(trained.gallery, **{name: vectors})).to_bytes())
    with pytest.raises(SettingsError, match="finite"):
        read_product_model(path)


def test_plain_vectors_of_other_signals_make_no_model(trained, tmp_path):
    gallery = replace(trained.gallery, plain=trained.gallery.plain[:, 1:])
    path = tmp_path / "model.npz"
    path.write_bytes(replace(trained, gallery=gallery).to_bytes())
    with pytest.raises(SettingsError, match="plain"):
        read_product_model(path)
