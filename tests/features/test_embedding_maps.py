"""What a network gives is averaged over the picture, wherever its channels are and however many it takes."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx_models import map_model

from cvsim.errors import SettingsError
from cvsim.features.embedding import Embedding


@pytest.mark.parametrize("batch", ["N", 1, 4])
@pytest.mark.parametrize("channels_last", [True, False])
def test_maps_are_averaged_over_space(tmp_path, channels_last, batch):
    rgb = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    network = map_model(tmp_path / "m.onnx", channels_last=channels_last, batch=batch)
    found = Embedding(f"unit={network}")
    assert found.n_dims == 3
    assert found.vector(rgb) == pytest.approx(rgb.mean(axis=(0, 1)) / 255, abs=1e-5)


def test_a_network_with_a_name_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "m.onnx"
    map_model(path, batch="BATCH")
    path.write_bytes(path.read_bytes().replace(b"BATCH", b"\xaaATCH"))
    with pytest.raises(SettingsError, match="a name in it is no text"):
        Embedding(str(path))


def test_a_network_that_gives_nothing_is_refused(tmp_path):
    path = tmp_path / "m.onnx"
    map_model(path)
    model = onnx.load(path)
    del model.graph.output[:]
    onnx.save(model, path)
    with pytest.raises(SettingsError, match=r"it gives nothing|not an ONNX model"):
        Embedding(str(path))


def test_views_are_averaged_and_kinds_prepare_as_keras_does(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    network = map_model(tmp_path / "m.onnx", channels_last=False)
    unit = Embedding(f"unit={network}")
    one = Embedding(f"unit+mirror+crops={network}")
    assert one.vector(rgb) == pytest.approx(unit.vector(rgb) / np.linalg.norm(unit.vector(rgb)), abs=0.02)
    assert one.params["preprocessing"].keys() - unit.params["preprocessing"].keys() == {"mirror", "crops"}
    bgr = Embedding(f"caffe={network}").vector(rgb)
    assert bgr == pytest.approx(rgb.mean(axis=(0, 1))[::-1] - [103.939, 116.779, 123.68], abs=1e-3)
    assert Embedding(f"tf={network}").vector(rgb) == pytest.approx(
        rgb.mean(axis=(0, 1)) / 127.5 - 1, abs=1e-5
    )
    assert Embedding(f"mirror={network}").params["preprocessing"]["mirror"] is True
    with pytest.raises(SettingsError, match="unknown kind of network 'tf\\+no'"):
        Embedding(f"tf+no={network}")
