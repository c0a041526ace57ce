"""A recurrent node after others: a value's axes and network with one more layer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from harness.core.errors import ConfigError
from harness.readers.onnx_files.cells import read_layer
from harness.readers.onnx_files.file import OnnxFile, attribute, label
from harness.readers.onnx_files.signal import OPEN, STEPS, Axis, Layer, Signal

if TYPE_CHECKING:
    from onnx import NodeProto


def add_layer(file: OnnxFile, node: NodeProto, inputs: list[Any]) -> list[Any]:
    """Return Y, Y_h and Y_c of a recurrent node; whoever takes Y_c gets the error."""
    signal: Signal = inputs[0]
    by, first = signal.by, not signal.by.layers
    if by.kernel is not None or by.sigmoid:
        raise file.refuse(node, "a recurrent layer after a dense layer or a sigmoid")
    batch_first = attribute(node, "layout", 0)
    axes = (
        [signal.axes[n] for n in ((1, 0, 2) if batch_first else (0, 1, 2))]
        if (len(signal.axes) == 3)
        else []
    )
    time, batch = _time_and_batch(file, node, axes, first)
    layer = read_layer(file, node, inputs, time[0][1])
    _check_fit(file, node, layer, by.layers, axes[2][0][1])
    if first:
        by = replace(by, time_axis=int(axes[0][0][0]))
    types = by.types | {layer.weights[0].dtype.name}
    by = replace(by, layers=(*by.layers, layer), types=types)
    units: Axis = (("units", len(layer.weights[1])),)
    Y = (batch, time, (), units) if batch_first else (time, (), batch, units)
    Y_h = (batch, (), units) if batch_first else ((), batch, units)
    cells = file.refuse(node, "a layer whose cells' state (Y_c) is an output or goes further")
    return [Signal(axes=Y, by=by), Signal(axes=Y_h, by=by), cells]


def _time_and_batch(
    file: OnnxFile, node: NodeProto, axes: list[Axis], first: bool
) -> tuple[Axis, Axis]:
    """Return the first two axes of a layer's input `(T, N, F)` under their own names."""
    names = [axis[0][0] if len(axis) == 1 else "" for axis in axes]
    valid = (["0", "1", "2"], ["1", "0", "2"]) if first else ([STEPS, "batch", "units"],)
    if names not in valid:
        raise file.refuse(
            node, "a recurrent layer whose input is not (steps, sequences, features) of every step"
        )
    return ((STEPS, axes[0][0][1]),), (("batch", axes[1][0][1]),)


def _check_fit(
    file: OnnxFile, node: NodeProto, layer: Layer, before: tuple[Layer, ...], features: int
) -> None:
    """Raise `ConfigError` unless a layer is of the kind and size of those before it."""
    W, U, _ = layer.weights
    if features not in (len(W), OPEN[2]):
        raise ConfigError(
            f"{file.path}: is damaged: W of {label(node)} is for {len(W)} features, and its input "
            f"has {features}; export it again."
        )
    if not before:
        return
    kind = before[-1].cell, before[-1].activation, before[-1].reset, len(before[-1].weights[1])
    if kind != (layer.cell, layer.activation, layer.reset, len(U)):
        raise file.refuse(node, f"a layer of another kind or size than {before[-1].node}")
