from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from generate import scene

from cvsim.errors import MissingExtraError, UsageError
from cvsim.features.embedding import PREPROCESSING, Embedding
from cvsim.products.autoencoder import AUTOENCODER_PX, fit_autoencoder

HAS_TORCH = importlib.util.find_spec("torch") is not None
PICTURES = np.stack([scene(seed, AUTOENCODER_PX, AUTOENCODER_PX) for seed in range(12)])


@pytest.mark.skipif(HAS_TORCH, reason="PyTorch is installed")
def test_without_pytorch_the_extra_is_named():
    with pytest.raises(MissingExtraError, match=r"cvsim\[torch\]"):
        fit_autoencoder(PICTURES)


@pytest.mark.skipif(not HAS_TORCH, reason="the extra torch is not installed")
def test_the_code_of_a_picture_is_an_embedding(tmp_path):
    network = fit_autoencoder(PICTURES, n_dims=16, n_epochs=2)
    assert network == fit_autoencoder(PICTURES, n_dims=16, n_epochs=2)
    (tmp_path / "code.onnx").write_bytes(network)
    feature = Embedding(str(tmp_path / "code.onnx"))
    assert feature.n_dims == 16
    assert feature.params["preprocessing"]["std"] == list(PREPROCESSING["unit"].std)
    assert feature.extract(PICTURES[0]) is not None


@pytest.mark.skipif(not HAS_TORCH, reason="the extra torch is not installed")
def test_a_handful_of_pictures_is_refused():
    with pytest.raises(UsageError, match="too few"):
        fit_autoencoder(PICTURES[:3])
