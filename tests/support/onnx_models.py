"""Small networks for tests of embeddings."""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper


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
