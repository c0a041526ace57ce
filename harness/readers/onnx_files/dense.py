"""Operators around recurrent layers that compute: scaling, a dense layer and a sigmoid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.core.arrays import Array
from harness.readers.onnx_files.file import OnnxFile, attribute, label
from harness.readers.onnx_files.signal import Axis, Signal

if TYPE_CHECKING:
    from onnx import NodeProto


def matmul(file: OnnxFile, node: NodeProto, values: list[Any]) -> Signal:
    """Take a product `(…, U) @ (U, O)` as the dense layer's."""
    return _product(file, node, values[0], values[1])


def gemm(file: OnnxFile, node: NodeProto, values: list[Any]) -> Signal:
    """Take a product `(N, U) @ (U, O)` and a bias as the dense layer."""
    plain = (attribute(node, "alpha", 1.0), attribute(node, "beta", 1.0)) == (1.0, 1.0)
    if not plain or attribute(node, "transA", 0):
        raise file.refuse(node, "a product with alpha, beta or transA")
    turned = attribute(node, "transB", 0) and isinstance(values[1], np.ndarray)
    signal = _product(file, node, values[0], values[1].T if turned else values[1])
    return signal if len(values) < 3 or values[2] is None else _bias(file, node, signal, values[2])


def _product(file: OnnxFile, node: NodeProto, signal: Any, kernel: Any) -> Signal:
    if not isinstance(signal, Signal) or not isinstance(kernel, np.ndarray):
        raise file.refuse(node, "a product whose kernel is not constant")
    if not signal.by.layers:
        raise file.refuse(node, "a dense layer before the recurrent layers")
    if signal.by.kernel is not None:
        raise file.refuse(node, "a second dense layer")
    _check_open(file, node, signal)
    if kernel.ndim != 2 or signal.axes[-1:] != ((("units", len(kernel)),),):
        raise file.refuse(node, "a product over something else than the units")
    outputs: Axis = (("outputs", kernel.shape[1]),)
    by = replace(signal.by, dense=label(node), kernel=kernel, types=_types(signal, kernel))
    return Signal(axes=(*signal.axes[:-1], outputs), by=by)


def add(file: OnnxFile, node: NodeProto, values: list[Any]) -> Signal:
    """Take a constant as the dense layer's bias, or as the mean of the targets."""
    signal, constant = _signal_and_constant(file, node, values)
    by = signal.by
    if by.kernel is not None and by.bias is None and by.y_std is None:
        return _bias(file, node, signal, constant)
    _check_after(file, node, signal)
    if by.y_mean is not None or constant.size != 1:
        raise file.refuse(node, "a sum beside the dense layer's bias")
    return replace(signal, by=replace(by, y_mean=constant.reshape(())))


def multiply(file: OnnxFile, node: NodeProto, values: list[Any]) -> Signal:
    """Take a constant as the standard deviation of the targets."""
    signal, constant = _signal_and_constant(file, node, values)
    _check_after(file, node, signal)
    by = signal.by
    if by.y_std is not None or by.y_mean is not None or constant.size != 1:
        raise file.refuse(node, "a product beside the dense layer's")
    return replace(signal, by=replace(by, y_std=constant.reshape(())))


def subtract(file: OnnxFile, node: NodeProto, values: list[Any]) -> Signal:
    """Take a constant as the mean of the inputs."""
    signal, constant = _scaling(file, node, values)
    if signal.by.x_mean is not None or signal.by.x_std is not None:
        raise file.refuse(node, "a second scaling of the inputs")
    return replace(signal, by=replace(signal.by, x_mean=constant))


def divide(file: OnnxFile, node: NodeProto, values: list[Any]) -> Signal:
    """Take a constant as the standard deviation of the inputs."""
    signal, constant = _scaling(file, node, values)
    if signal.by.x_std is not None:
        raise file.refuse(node, "a second scaling of the inputs")
    return replace(signal, by=replace(signal.by, x_std=constant))


def sigmoid(file: OnnxFile, node: NodeProto, values: list[Any]) -> Signal:
    """Take a sigmoid as the network's end."""
    signal = values[0]
    if not isinstance(signal, Signal) or not signal.by.layers:
        raise file.refuse(node, "a sigmoid before the recurrent layers")
    _check_open(file, node, signal)
    return replace(signal, by=replace(signal.by, sigmoid=True))


def _scaling(file: OnnxFile, node: NodeProto, values: list[Any]) -> tuple[Signal, Array]:
    """Return the model's input and a constant `(F,)` by which a node scales it."""
    signal, constant = values
    if not isinstance(signal, Signal) or not isinstance(constant, np.ndarray) or signal.by.layers:
        raise file.refuse(node, "an operation beside recurrent layers and one dense layer")
    features = signal.axes[-1]
    if len(signal.axes) != 3 or features[0][0] != "2" or not _along_last(signal, constant):
        raise file.refuse(node, "a scaling that differs between sequences or steps")
    return signal, np.broadcast_to(constant.ravel(), (features[0][1],))


def _signal_and_constant(
    file: OnnxFile, node: NodeProto, values: list[Any]
) -> tuple[Signal, Array]:
    signal, constant = values if isinstance(values[0], Signal) else values[::-1]
    if not isinstance(signal, Signal) or not isinstance(constant, np.ndarray):
        raise file.refuse(node, "an operation that joins values")
    return signal, constant


def _bias(file: OnnxFile, node: NodeProto, signal: Signal, constant: Any) -> Signal:
    fits = isinstance(constant, np.ndarray) and _along_last(signal, constant)
    if not fits or signal.axes[-1][0][0] != "outputs":
        raise file.refuse(node, "a sum of something else than a bias for each output")
    bias = np.broadcast_to(constant.ravel(), signal.shape[-1:])
    by = replace(signal.by, bias=bias, types=_types(signal, constant))
    return replace(signal, by=by)


def _along_last(signal: Signal, constant: Array) -> bool:
    """Return whether a constant is one number, or one for each element of the last axis."""
    rows = constant.shape[:-1]
    fits = all(n == 1 for n in rows) and constant.ndim <= len(signal.axes)
    return fits and constant.size in (1, signal.shape[-1]) and bool(signal.axes[-1])


def _check_open(file: OnnxFile, node: NodeProto, signal: Signal) -> None:
    """Raise `ConfigError` for an operation after the network's end."""
    by = signal.by
    if by.sigmoid or by.y_std is not None or by.y_mean is not None:
        raise file.refuse(node, "an operation after the network's end")


def _check_after(file: OnnxFile, node: NodeProto, signal: Signal) -> None:
    if not signal.by.layers or signal.by.sigmoid:
        raise file.refuse(node, "an operation beside recurrent layers and one dense layer")


def _types(signal: Signal, array: Array) -> frozenset[str]:
    return signal.by.types | {array.dtype.name}


DENSE: dict[str, Callable[[OnnxFile, NodeProto, list[Any]], Signal]] = {
    "MatMul": matmul,
    "Gemm": gemm,
    "Add": add,
    "Mul": multiply,
    "Sub": subtract,
    "Div": divide,
    "Sigmoid": sigmoid,
}
