"""Small networks for tests of embeddings."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def mean_color_model(path, *, side=8, channels_last=False, batch="N", n_channels=3) -> str:
    """An ONNX model whose output is the mean of each channel."""
    shape = [batch, side, side, n_channels] if channels_last else [batch, n_channels, side, side]
    axes = [1, 2] if channels_last else [2, 3]
    nodes = [
        helper.make_node("ReduceMean", ["input", "axes"], ["features"], keepdims=0),
        helper.make_node("Identity", ["input"], ["other"]),
    ]
    graph = helper.make_graph(
        nodes,
        "mean",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
        [
            helper.make_tensor_value_info("other", TensorProto.FLOAT, shape),
            helper.make_tensor_value_info("features", TensorProto.FLOAT, [batch, n_channels]),
        ],
        [helper.make_tensor("axes", TensorProto.INT64, [2], axes)],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return str(path)


def map_model(path, *, side=8, channels_last=True, batch="N") -> str:
    """An ONNX model whose only output is a map: the picture itself."""
    shape = [batch, side, side, 3] if channels_last else [batch, 3, side, side]
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("input", "map")]
    graph = helper.make_graph([helper.make_node("Identity", ["input"], ["map"])], "map", info[:1], info[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return str(path)


def small_conv_model(path, *, side=32) -> str:
    """An ONNX network of two convolutions with random weights, pooled over the picture."""
    rng = np.random.default_rng(0)
    weights = {
        "w1": rng.normal(0, 0.3, (8, 3, 3, 3)),
        "b1": np.zeros(8),
        "w2": rng.normal(0, 0.15, (16, 8, 3, 3)),
        "b2": np.zeros(16),
    }
    nodes = [
        helper.make_node("Conv", ["input", "w1", "b1"], ["c1"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("Conv", ["r1", "w2", "b2"], ["c2"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c2"], ["r2"]),
        helper.make_node("GlobalAveragePool", ["r2"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["features"]),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 3, side, side])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", 16])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=9), path)
    return str(path)
