from __future__ import annotations

import pickle

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx_models import mean_color_model

from cvsim.errors import SettingsError
from cvsim.features.color_layout import ColorLayout
from cvsim.features.embedding import PREPROCESSING, Embedding, Preprocessing, prepare
from cvsim.features.gradient_layout import GradientLayout, framed


def scene(seed: int = 0, height: int = 120, width: int = 160) -> np.ndarray:
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize("feature", [GradientLayout(), ColorLayout()], ids=lambda f: f.name)
def test_a_mirrored_picture_is_the_same(feature):
    rgb = scene()
    mirrored = np.ascontiguousarray(rgb[:, ::-1])
    (found,) = feature.compare(feature.extract(rgb), feature.extract(mirrored))
    assert found.similarity == pytest.approx(1, abs=2e-3)
    (other,) = feature.compare(feature.extract(rgb), feature.extract(scene(1)))
    assert other.similarity < found.similarity - 0.02


def test_gradient_layout_sees_no_evidence_in_a_flat_picture():
    assert GradientLayout().extract(np.full((50, 50, 3), 90, np.uint8)) is None


def test_gradient_layout_of_a_thin_line_is_finite():
    """Most of its cells are empty, and sums that should be zero may come out below."""
    for seed in range(400):
        rng = np.random.default_rng(seed)
        rgb = np.full((96, 96, 3), 255, np.uint8)
        end = (int(rng.integers(20, 90)), int(rng.integers(20, 90)))
        cv2.line(rgb, (10, 10), end, (0, 0, 0), int(rng.integers(1, 4)))
        vector = GradientLayout().vector(rgb)
        assert vector is None or np.isfinite(vector).all()


def test_gradient_layout_does_not_see_colour_but_colour_layout_does():
    rgb = np.full((100, 100, 3), 250, np.uint8)
    red, blue = rgb.copy(), rgb.copy()
    cv2.circle(red, (50, 50), 30, (200, 30, 30), -1)
    cv2.circle(blue, (50, 50), 30, (30, 30, 200), -1)
    gradient, color = GradientLayout(), ColorLayout()
    assert gradient.compare(gradient.extract(red), gradient.extract(blue))[0].similarity > 0.97
    assert color.compare(color.extract(red), color.extract(blue))[0].similarity < 0.9


def test_a_product_on_a_plain_background_is_framed():
    rgb = np.full((200, 300, 3), 255, np.uint8)
    rgb[60:120, 100:180] = (20, 90, 160)
    height, width = framed(rgb).shape[:2]
    assert abs(height - 60) <= 6
    assert abs(width - 80) <= 8
    assert framed(scene()) is not None
    assert framed(scene(3)).shape == scene(3).shape


def test_an_embedding_is_what_the_network_gives(tmp_path):
    feature = Embedding("unit=" + mean_color_model(tmp_path / "m.onnx"))
    rgb = np.zeros((20, 30, 3), np.uint8)
    rgb[:] = (30, 60, 120)
    expected = np.array([30, 60, 120]) / np.linalg.norm([30, 60, 120])
    assert np.allclose(feature.extract(rgb), expected, atol=1e-3)
    assert feature.n_dims == 3
    other = rgb[..., ::-1].copy()
    (found,) = feature.compare(feature.extract(rgb), feature.extract(other))
    cosine = (30 * 120 * 2 + 60 * 60) / (30**2 + 60**2 + 120**2)
    assert found.detail["cosine"] == pytest.approx(cosine, abs=1e-3)


@pytest.mark.parametrize("how", [{"channels_last": True}, {"batch": 1}, {"side": "side"}])
def test_models_of_other_shapes_serve(tmp_path, how):
    feature = Embedding("unit=" + mean_color_model(tmp_path / "m.onnx", **how))
    assert np.allclose(feature.extract(np.full((9, 9, 3), 200, np.uint8)), 3**-0.5, atol=1e-3)


def test_an_embedding_travels_to_another_process(tmp_path):
    feature = Embedding(mean_color_model(tmp_path / "m.onnx"))
    again = pickle.loads(pickle.dumps(feature))
    assert again.key == feature.key
    assert np.array_equal(again.extract(scene()), feature.extract(scene()))


def test_the_key_depends_on_the_network_and_on_what_it_is_shown(tmp_path):
    path = mean_color_model(tmp_path / "m.onnx")
    other = mean_color_model(tmp_path / "n.onnx", side=16)
    assert len({Embedding(s).key for s in (path, "unit=" + path, "clip=" + path, other)}) == 4


def test_files_that_are_no_image_model_are_refused(tmp_path):
    junk = tmp_path / "junk.onnx"
    junk.write_bytes(b"no model")
    with pytest.raises(SettingsError, match="not an ONNX model"):
        Embedding(str(junk))
    with pytest.raises(SettingsError, match="cannot be read"):
        Embedding(str(tmp_path / "missing.onnx"))
    with pytest.raises(SettingsError, match="no model of colour images"):
        Embedding(mean_color_model(tmp_path / "gray.onnx", n_channels=1))
    value = helper.make_tensor_value_info
    node = helper.make_node("Identity", ["x"], ["y"])
    ends = [value("x", TensorProto.FLOAT, [1, 10])], [value("y", TensorProto.FLOAT, [1, 10])]
    table = helper.make_model(
        helper.make_graph([node], "g", *ends), opset_imports=[helper.make_opsetid("", 18)], ir_version=9
    )
    onnx.save(table, tmp_path / "table.onnx")
    with pytest.raises(SettingsError, match="no image model"):
        Embedding(str(tmp_path / "table.onnx"))


def test_a_kind_without_its_file_says_what_to_give():
    with pytest.raises(SettingsError, match=r"resnet50=FILE\.onnx"):
        Embedding("resnet50")
    with pytest.raises(SettingsError, match="unknown kind of network"):
        Embedding("nonsense=model.onnx")


@pytest.mark.parametrize("kind", sorted(PREPROCESSING))
def test_every_preprocessing_gives_a_square_of_its_scale(kind):
    how: Preprocessing = PREPROCESSING[kind]
    white = prepare(np.full((300, 500, 3), 255, np.uint8), how, how.side_px)
    assert white.shape == (3, how.side_px, how.side_px)
    scaled = (1 - np.array(how.mean)) / np.array(how.std)
    assert np.allclose(white[:, 0, 0], scaled[::-1] if how.bgr else scaled, atol=1e-5)


def test_the_middle_is_cropped_where_a_network_wants_that():
    rgb = np.zeros((100, 300, 3), np.uint8)
    rgb[:, 100:200] = 255
    found = prepare(rgb, Preprocessing(10, (0, 0, 0), (1, 1, 1), "crop", 10), 10)
    assert found.min() > 0.9


def network(path, nodes, output_shape, tensors=()) -> str:
    """A network of one 8 px picture whose output is called ``out``."""
    graph = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", 3, 8, 8])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", *output_shape])],
        list(tensors),
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return str(path)


def test_of_a_classifier_what_it_pools_before_it_decides_is_taken(tmp_path):
    weights = np.random.default_rng(0).normal(size=(3, 1000)).astype(np.float32)
    nodes = [
        helper.make_node("GlobalAveragePool", ["input"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["out"]),
    ]
    path = network(tmp_path / "m.onnx", nodes, [1000], [onnx.numpy_helper.from_array(weights, "weights")])
    rgb = np.zeros((9, 9, 3), np.uint8)
    rgb[:] = (30, 60, 120)
    feature = pickle.loads(pickle.dumps(Embedding(f"unit={path}")))
    assert feature.n_dims == 3
    assert np.allclose(
        feature.extract(rgb), np.array([30, 60, 120]) / np.linalg.norm([30, 60, 120]), atol=1e-3
    )


def test_of_tokens_the_first_is_taken_and_of_maps_the_mean(tmp_path):
    rgb = scene()
    shape = onnx.numpy_helper.from_array(np.array([0, 3, 64], np.int64), "shape")
    tokens = network(
        tmp_path / "t.onnx", [helper.make_node("Reshape", ["input", "shape"], ["out"])], [3, 64], [shape]
    )
    assert Embedding(f"unit={tokens}").n_dims == 64
    maps = network(tmp_path / "m.onnx", [helper.make_node("Identity", ["input"], ["out"])], [3, 8, 8])
    mean = prepare(rgb, PREPROCESSING["unit"], 8).mean(axis=(1, 2))
    assert np.allclose(Embedding(f"unit={maps}").extract(rgb), mean / np.linalg.norm(mean), atol=1e-3)


def test_a_file_may_name_its_own_kind(tmp_path):
    path = mean_color_model(tmp_path / "m.onnx")
    model = onnx.load(path)
    onnx.helper.set_model_props(model, {"cvsim.preprocessing": "unit"})
    onnx.save(model, tmp_path / "named.onnx")
    named, given = Embedding(str(tmp_path / "named.onnx")), Embedding(f"clip={tmp_path / 'named.onnx'}")
    assert named.params["preprocessing"]["std"] == [1.0, 1.0, 1.0]
    assert given.params["preprocessing"]["std"] != [1.0, 1.0, 1.0]
