"""ONNX: `model.onnx` with the standard's RNN, LSTM and GRU operators.

ONNX Runtime has these in float32 only, so `write` must be given a network in float32
(`trained_network.in_float32`). The layers are built by `harness/core/onnx_layers.py`.
"""

from pathlib import Path
from typing import Any

import numpy as np

from harness.core.losses import gives_logits
from harness.core.onnx_layers import Graph, add_layer
from harness.formats.trained_network import Network, as_markdown

USAGE = """\
import onnxruntime

session = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])
[y] = session.run(["y"], {"x": x})
"""


def write(network: Network, folder: Path) -> None:
    """Write `model.onnx` and `model.md` into `folder`."""
    import onnx

    model = build(network)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, folder / "model.onnx")
    (folder / "model.md").write_text(as_markdown(network, USAGE), encoding="utf-8")


def build(network: Network) -> Any:
    """Return the ONNX model: x `(N, T, F)` to y `(N, O)` or `(N, T, O)`, with N and T left open."""
    from onnx import TensorProto, helper

    graph, spec, weights = Graph(), network.model, network.weights
    outer = TensorProto.DOUBLE if network.outer_precision == "float64" else TensorProto.FLOAT
    _standardise(network, graph)
    graph.add("Transpose", "steps_first", perm=[1, 0, 2])  # (T, N, F)
    for n, layer in enumerate(network.layers):
        last = n == spec.layers - 1 and not spec.every_step
        add_layer(graph, spec, n, layer, only_last=last)
    if spec.every_step:
        graph.add("Transpose", "states", perm=[1, 0, 2])  # (N, T, U)
    if spec.head == "dense":
        graph.add("MatMul", "product", graph.constant("head.W", weights["head.kernel"]))
        graph.add("Add", "head", graph.constant("head.b", weights["head.bias"]))
    if gives_logits(network.loss):
        graph.add("Sigmoid", "probability")
    _to_original_units(network, graph, outer)
    graph.add("Identity", "y")
    shape = ["N", *(["T"] if spec.every_step else []), spec.outputs]
    return graph.model(
        "network",
        [helper.make_tensor_value_info("x", outer, ["N", "T", spec.features])],
        [helper.make_tensor_value_info("y", outer, shape)],
        as_markdown(network, USAGE),
    )


def _standardise(network: Network, graph: Graph) -> None:
    from onnx import TensorProto

    if network.standardised:
        graph.add("Sub", "centred", graph.constant("x_mean", network.x_mean))
        graph.add("Div", "standardised", graph.constant("x_std", network.x_std))
    if network.outer_precision == "float64":
        graph.add("Cast", "inputs", to=TensorProto.FLOAT)


def _to_original_units(network: Network, graph: Graph, outer: int) -> None:
    if network.outer_precision == "float64":
        graph.add("Cast", "outputs", to=outer)
    if network.rescaled:
        graph.add("Mul", "scaled", graph.constant("y_std", np.array(network.y_std)))
        graph.add("Add", "original_units", graph.constant("y_mean", np.array(network.y_mean)))
