"""A node RNN, LSTM or GRU of an ONNX graph as a layer, or the name of what it has beyond one.

The layout of its weights is that of `harness/core/onnx_layers.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from harness.core.arrays import Array
from harness.core.errors import ConfigError
from harness.core.layer_weights import per_gate
from harness.core.model import GATES
from harness.core.onnx_layers import GATE_ORDER
from harness.readers.onnx_files.file import OnnxFile, attribute, label
from harness.readers.onnx_files.signal import Layer, Zeros

if TYPE_CHECKING:
    from onnx import NodeProto

ACTIVATIONS = {
    "RNN": {("tanh",): "tanh", ("relu",): "relu"},
    "LSTM": {("sigmoid", "tanh", "tanh"): "tanh"},
    "GRU": {("sigmoid", "tanh"): "tanh"},
}
INPUTS: tuple[str, ...] = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")


def read_layer(file: OnnxFile, node: NodeProto, values: list[Any], steps: int) -> Layer:
    """Return the layer of a node whose inputs are `values`, after X of `steps` time steps.

    Raises `ConfigError` for what no layer here has.
    """
    inputs = dict(zip(INPUTS, values, strict=False))
    activation = _activation(file, node)
    _check_settings(file, node)
    _check_states(file, node, inputs, steps)
    before = node.op_type == "GRU" and not attribute(node, "linear_before_reset", 0)
    return Layer(
        node=label(node),
        cell=node.op_type.lower(),
        activation=activation,
        reset="before" if before else "after",
        weights=_weights(file, node, inputs),
        has_biases=inputs.get("B") is not None,
        batch_first=attribute(node, "layout", 0) == 1,
    )


def _activation(file: OnnxFile, node: NodeProto) -> str:
    known = ACTIVATIONS[node.op_type]
    given = attribute(node, "activations")
    if not given:
        return "tanh"
    names = [name.decode("utf-8", "replace") for name in given]
    activation = known.get(tuple(name.lower() for name in names))
    if activation is None:
        raise file.refuse(node, f"a layer with the activations {', '.join(names)}")
    return activation


def _check_settings(file: OnnxFile, node: NodeProto) -> None:
    direction = attribute(node, "direction", "forward")
    if direction != "forward":
        raise file.refuse(node, f"a layer with direction={direction}")
    clip = attribute(node, "clip")
    if clip is not None:
        raise file.refuse(node, f"a layer with clip={clip:g}")
    if attribute(node, "input_forget", 0):
        raise file.refuse(node, "a layer with input_forget=1")


def _check_states(file: OnnxFile, node: NodeProto, inputs: dict[str, Any], steps: int) -> None:
    """Raise `ConfigError` for peepholes, lengths and initial states that do something."""
    lengths = inputs.get("sequence_lens")
    if lengths is not None and not (isinstance(lengths, np.ndarray) and (lengths == steps).all()):
        raise file.refuse(node, "a layer with sequence_lens")
    if not _is_zero(inputs.get("P")):
        raise file.refuse(node, "a layer with peepholes (P)")
    for name in ("initial_h", "initial_c"):
        if not _is_zero(inputs.get(name)):
            what = "that is not zero" if isinstance(inputs[name], np.ndarray) else "of its own"
            raise file.refuse(node, f"a layer with an {name} {what}")


def _is_zero(value: Any) -> bool:
    if value is None or isinstance(value, Zeros):
        return True
    return isinstance(value, np.ndarray) and not value.any()


def _weights(file: OnnxFile, node: NodeProto, inputs: dict[str, Any]) -> tuple[Array, Array, Array]:
    """Return W `(F, GU)`, U `(U, GU)` and b `(2, GU)`, gates in canonical order."""
    for name in ("W", "R", "B"):
        if inputs.get(name) is not None and not isinstance(inputs[name], np.ndarray):
            raise file.refuse(node, f"a layer whose {name} is computed from an input")
    W, R, B = inputs["W"], inputs["R"], inputs.get("B")
    cell = node.op_type.lower()
    units = R.shape[-1]
    rows = GATES[cell] * units
    B = np.zeros((1, 2 * rows), W.dtype) if B is None else B
    shapes = W.shape, R.shape, B.shape
    fits = W.ndim == 3 and shapes == ((1, rows, W.shape[-1]), (1, rows, units), (1, 2 * rows))
    if not fits or not units or attribute(node, "hidden_size", units) != units:
        raise ConfigError(
            f"{file.path}: is damaged: W, R and B of {label(node)} are {W.shape}, {R.shape} and "
            f"{B.shape}, which do not fit one another or its hidden_size; export it again."
        )
    order = list(np.argsort(GATE_ORDER[cell]))  # from ONNX' order back to the canonical one
    return tuple(per_gate(a, order) for a in (W[0].T, R[0].T, B.reshape(2, rows)))  # type: ignore[return-value]
