"""Recurrent layers as nodes of an ONNX graph, with the standard's RNN, LSTM and GRU operators.

The operators take kernels `(1, GU, F)`, both biases in one row, and time before the batch. The
LSTM's gates are in the order i, o, f, c, the GRU's in the canonical order. ONNX Runtime has these
operators in float32 only, so the weights must be float32.
"""

from __future__ import annotations  # onnx is imported only where a model is made

from typing import TYPE_CHECKING, Any

import numpy as np

from harness.core.arrays import Array
from harness.core.layer_weights import Weights, per_gate
from harness.core.model import ModelSpec

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto

GATE_ORDER = {"rnn": [0], "lstm": [0, 3, 1, 2], "gru": [0, 1, 2]}
OPSET, IR_VERSION = 17, 8  # of 2022, so that older runtimes read the models


class Graph:
    """A chain of nodes, each applied to the result of the one before, and their constants."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self.last = "x"

    def constant(self, name: str, value: Array) -> str:
        """Add the array `value` as a constant and return its name."""
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def add(
        self,
        operator: str,
        result: str,
        *inputs: str,
        outputs: list[str] | None = None,
        **attributes: Any,
    ) -> None:
        """Apply an operator to the last result and `inputs`; `result` becomes the last result."""
        from onnx import helper

        node = helper.make_node(operator, [self.last, *inputs], outputs or [result], **attributes)
        self.nodes.append(node)
        self.last = result

    def model(
        self, name: str, inputs: list[ValueInfoProto], outputs: list[ValueInfoProto], text: str
    ) -> ModelProto:
        """Return the nodes as an ONNX model, with `text` as its documentation."""
        from onnx import helper

        graph = helper.make_graph(self.nodes, name, inputs, outputs, self.constants)
        return helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="rnn-harness",
            doc_string=text,
        )


def add_layer(
    graph: Graph,
    model: ModelSpec,
    layer: int,
    weights: Weights,
    lengths: str = "",
    only_last: bool = False,
) -> None:
    """Add one layer: `(T, N, F)` to `(T, N, U)`, or to `(N, U)` with `only_last`.

    `lengths` is the name of an input `(N,)` of int32: how many steps of each sequence are real.
    """
    W, U, b = (per_gate(array, GATE_ORDER[model.cell]) for array in weights)
    constants = [
        graph.constant(f"rnn.{layer}.W", W.T[None]),  # (1, GU, F)
        graph.constant(f"rnn.{layer}.R", U.T[None]),  # (1, GU, U)
        graph.constant(f"rnn.{layer}.B", b.reshape(1, -1)),  # (1, 2·GU)
        *([lengths] if lengths else []),
    ]
    settings: dict[str, Any] = {"hidden_size": model.units}
    if model.activation == "relu":
        settings["activations"] = ["Relu"]
    if model.cell == "gru":
        settings["linear_before_reset"] = int(model.reset == "after")
    result = f"layer_{layer}"
    outputs = ["", result] if only_last else [result]
    graph.add(model.cell.upper(), result, *constants, outputs=outputs, **settings)
    axis = 0 if only_last else 1  # of the directions, of which there is one
    squeezed = graph.constant(f"direction_{layer}", np.array([axis]))
    graph.add("Squeeze", f"hidden_{layer}", squeezed)
