"""A network learns which photos show one product, and serves as an embedding afterwards."""

from __future__ import annotations

import importlib.util

import cv2
import numpy as np
import pytest
from onnx_models import small_conv_model
from product_photos import photo

from cvsim.api.products import train_network
from cvsim.errors import MissingExtraError, UsageError
from cvsim.features.embedding import Embedding

HAS_TORCH = all(importlib.util.find_spec(name) is not None for name in ("torch", "onnx2torch"))
needs_torch = pytest.mark.skipif(not HAS_TORCH, reason="the extra torch is not installed")
N_PRODUCTS, N_PHOTOS = 6, 6


@pytest.fixture
def photos(tmp_path):
    for product in range(N_PRODUCTS):
        folder = tmp_path / "photos" / f"p{product}"
        folder.mkdir(parents=True)
        for i in range(N_PHOTOS):
            cv2.imwrite(str(folder / f"{i}.png"), photo(product, product * N_PHOTOS + i)[..., ::-1])
    return tmp_path / "photos"


@pytest.mark.skipif(HAS_TORCH, reason="PyTorch is installed")
def test_without_pytorch_the_extra_is_named(photos, tmp_path):
    network = small_conv_model(tmp_path / "small.onnx")
    with pytest.raises(MissingExtraError, match=r"cvsim\[torch\]"):
        train_network(photos, fine_tune=f"unit={network}", cache=None)


@needs_torch
def test_products_lie_apart_after_tuning(photos, tmp_path):
    network = small_conv_model(tmp_path / "small.onnx")
    known = {f"p{p}/{i}.png": f"p{p}" for p in range(4) for i in range(N_PHOTOS)}
    tuned = train_network(photos, labels=known, fine_tune=f"unit={network}", n_epochs=6, cache=None)
    tuned.to_onnx(tmp_path / "tuned.onnx")
    params = Embedding(str(tmp_path / "tuned.onnx")).params
    assert params["tuned"] is True
    assert params["photos_per_product"] == N_PHOTOS
    before, after = (lead(model, photos) for model in (f"unit={network}", tmp_path / "tuned.onnx"))
    assert after > before


def lead(model, photos) -> float:
    """How much nearer photos of one product are than others, with products that were not learned."""
    feature = Embedding(str(model))
    files = sorted(photos.glob("*/*.png"))
    rows = np.stack([feature.extract(cv2.imread(str(file))[..., ::-1]) for file in files]).astype(np.float32)
    product = np.repeat(np.arange(N_PRODUCTS), N_PHOTOS)
    cosines, same = rows @ rows.T, product[:, None] == product
    return float(cosines[same].mean() - cosines[~same].mean()) / float(cosines.std())


@needs_torch
def test_one_product_is_too_few(photos, tmp_path):
    network = small_conv_model(tmp_path / "small.onnx")
    with pytest.raises(UsageError, match="two products"):
        train_network(photos / "p0", labels=["a"] * N_PHOTOS, fine_tune=network, cache=None)
