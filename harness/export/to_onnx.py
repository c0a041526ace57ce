"""ONNX: `model.onnx` with the standard's own RNN, LSTM and GRU operators.

Operators keep kernels as (1, GU, F), both biases in one row, and time before the batch; the LSTM's
gates are in the order i, o, f, c, the GRU's in ours. ONNX Runtime has these operators in float32
only, so that is what `write` must be given (`harness.export.network.in_float32`).
"""

from pathlib import Path
from typing import Any

import numpy as np

from harness.export.network import Network, as_markdown, per_gate

USAGE = """\
import onnxruntime

session = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])
[y] = session.run(["y"], {"x": x})
"""

GATE_ORDER = {"rnn": [0], "lstm": [0, 3, 1, 2], "gru": [0, 1, 2]}
OPSET, IR_VERSION = 17, 8  # of 2022, so that older runtimes read it


def write(network: Network, folder: Path) -> None:
    import onnx

    model = build(network)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, folder / "model.onnx")
    (folder / "model.md").write_text(as_markdown(network, USAGE), encoding="utf-8")


class Graph:
    """Nodes that follow each other, and the constants that they use."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.last = "x"

    def constant(self, name: str, value: Any) -> str:
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def add(self, operator: str, result: str, *inputs: str, outputs: Any = None, **kw: Any) -> None:
        """Apply an operator to the last result (and `inputs`); its result is the last from now."""
        from onnx import helper

        made = helper.make_node(operator, [self.last, *inputs], outputs or [result], **kw)
        self.nodes.append(made)
        self.last = result


def build(network: Network) -> Any:
    """The ONNX model: x (N, T, F) -> y, with N and T left open."""
    from onnx import TensorProto, helper

    graph, spec, weights = Graph(), network.model, network.weights
    outer = TensorProto.DOUBLE if network.outer_precision == "float64" else TensorProto.FLOAT
    _standardise(network, graph)
    graph.add("Transpose", "steps_first", perm=[1, 0, 2])  # (T, N, F)
    for n in range(spec.layers):
        _recurrent(network, graph, n)
    if spec.every_step:
        graph.add("Transpose", "states", perm=[1, 0, 2])  # (N, T, U)
    if spec.head == "dense":
        graph.add("MatMul", "product", graph.constant("head.W", weights["head.kernel"]))
        graph.add("Add", "head", graph.constant("head.b", weights["head.bias"]))
    if network.loss == "bce":
        graph.add("Sigmoid", "probability")
    _to_original_units(network, graph, outer)
    graph.add("Identity", "y")
    shape = ["N", *(["T"] if spec.every_step else []), spec.outputs]
    made = helper.make_graph(
        graph.nodes,
        "network",
        [helper.make_tensor_value_info("x", outer, ["N", "T", spec.features])],
        [helper.make_tensor_value_info("y", outer, shape)],
        graph.constants,
    )
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_model(
        made,
        opset_imports=opsets,
        ir_version=IR_VERSION,
        producer_name="rnn-harness",
        doc_string=as_markdown(network, USAGE),
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


def _recurrent(network: Network, graph: Graph, n: int) -> None:
    """One layer: (T, N, F) -> (T, N, U), or (N, U) where only the last state is needed."""
    spec = network.model
    W, U, b = (per_gate(part, GATE_ORDER[spec.cell]) for part in network.layers[n])
    constants = [
        graph.constant(f"rnn.{n}.W", W.T[None]),  # (1, GU, F)
        graph.constant(f"rnn.{n}.R", U.T[None]),  # (1, GU, U)
        graph.constant(f"rnn.{n}.B", b.reshape(1, -1)),  # (1, 2·GU)
    ]
    settings: dict[str, Any] = {"hidden_size": spec.units}
    if spec.activation == "relu":
        settings["activations"] = ["Relu"]
    if spec.cell == "gru":
        settings["linear_before_reset"] = int(not network.resets_before)
    only_last = n == spec.layers - 1 and not spec.every_step
    result = f"layer_{n}"
    outputs = ["", result] if only_last else [result]
    graph.add(spec.cell.upper(), result, *constants, outputs=outputs, **settings)
    axis = 0 if only_last else 1  # of the directions, of which there is one
    graph.add("Squeeze", f"hidden_{n}", graph.constant(f"direction_{n}", np.array([axis])))
