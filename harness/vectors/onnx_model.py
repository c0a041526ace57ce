"""Write the forward pass of a case as an ONNX model in float32.

ONNX Runtime has RNN, LSTM and GRU in no other precision.
"""

from pathlib import Path

import numpy as np

from harness.core.layer_weights import acting_weights
from harness.core.model import Params
from harness.core.onnx_layers import Graph, add_layer
from harness.vectors.cases import Case


def write(case: Case, params: Params, path: Path) -> None:
    """Write the model with the weights `params` `(1, …)` to `path`.

    Its inputs are `x` `(N, T, F)` and, if the case is ragged, `lengths` `(N,)` of int32. Its output
    is `y` `(N, T, U)`, 0 at padding. N and T are left open.
    """
    import onnx
    from onnx import TensorProto, helper

    spec, graph = case.model, Graph()
    weights = {name: value[0].astype(np.float32) for name, value in params.items()}
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", "T", spec.features])]
    if case.ragged:
        inputs.append(helper.make_tensor_value_info("lengths", TensorProto.INT32, ["N"]))
    graph.add("Transpose", "steps_first", perm=[1, 0, 2])  # (T, N, F)
    for n, layer in enumerate(acting_weights(spec, weights)):
        add_layer(graph, spec, n, layer, "lengths" if case.ragged else "")
    graph.add("Transpose", "y", perm=[1, 0, 2])  # (N, T, U)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", "T", spec.units])
    model = graph.model("network", inputs, [y], f"{case.name}: see {case.name}.json")
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
