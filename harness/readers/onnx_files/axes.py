"""Operators that turn, join, split and drop the axes of a value, or pick its last time step."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.core.errors import ConfigError
from harness.readers.onnx_files.file import OnnxFile, attribute
from harness.readers.onnx_files.signal import STEPS, Joined, Signal

if TYPE_CHECKING:
    from onnx import NodeProto

LAST = ": only the last step, or all of them, can be taken"


def _integers(file: OnnxFile, node: NodeProto, values: list[Any], n: int, name: str) -> list[int]:
    """Return the operand `n` of a node, which older opsets have as the attribute `name`."""
    value = values[n] if len(values) > n else attribute(node, name)
    if value is None:
        return []
    if isinstance(value, Signal | Joined) or not np.issubdtype(np.asarray(value).dtype, np.integer):
        raise file.refuse(node, f"an operation whose {name} depends on the input's values")
    return [int(v) for v in np.ravel(value)]


def transpose(file: OnnxFile, node: NodeProto, values: list[Any]) -> Signal:
    """Turn the axes."""
    signal = values[0]
    order = attribute(node, "perm") or range(len(signal.axes))[::-1]
    return signal.with_axes([signal.axes[n] for n in order])


def squeeze(file: OnnxFile, node: NodeProto, values: list[Any]) -> Signal:
    """Drop axes of size 1; all of them where none is named."""
    signal, rank = values[0], len(values[0].axes)
    dropped = {n % rank for n in _integers(file, node, values, 1, "axes")}
    if not dropped:
        dropped = {n for n, size in enumerate(signal.shape) if size == 1}
    if any(signal.shape[n] != 1 for n in dropped):
        raise file.refuse(node, "an operation that drops an axis of more than one element")
    return signal.with_axes([axis for n, axis in enumerate(signal.axes) if n not in dropped])


def unsqueeze(file: OnnxFile, node: NodeProto, values: list[Any]) -> Signal:
    """Add axes of size 1."""
    added = _integers(file, node, values, 1, "axes")
    axes = list(values[0].axes)
    for n in sorted(n % (len(axes) + len(added)) for n in added):
        axes.insert(n, ())
    return values[0].with_axes(axes)


def reshape(file: OnnxFile, node: NodeProto, values: list[Any]) -> Signal:
    """Join and split axes."""
    signal, sizes = values[0], _integers(file, node, values, 1, "shape")
    if not attribute(node, "allowzero", 0):
        sizes = [n or signal.shape[position] for position, n in enumerate(sizes)]
    signal.check_bound(sizes)
    known = int(np.prod([n for n in sizes if n != -1], dtype=object))
    total = int(np.prod(signal.shape, dtype=object))
    sizes = [total // max(known, 1) if n == -1 else n for n in sizes]
    return _whole(file, node, signal.reshaped(sizes))


def flatten(file: OnnxFile, node: NodeProto, values: list[Any]) -> Signal:
    """Join the axes before and from `axis` on."""
    signal, axis = values[0], attribute(node, "axis", 1)
    parts = signal.axes[:axis], signal.axes[axis:]
    return signal.with_axes([tuple(atom for axis in part for atom in axis) for part in parts])


def _whole(file: OnnxFile, node: NodeProto, signal: Signal | None) -> Signal:
    if signal is None:
        raise file.refuse(node, "an operation that mixes sequences, steps or units")
    return signal


def gather(file: OnnxFile, node: NodeProto, values: list[Any]) -> Signal:
    """Pick the last time step, or the only element of an axis, or one of several joined values."""
    signal, indices = values[0], _integers(file, node, values, 1, "indices")
    if len(indices) != 1:
        raise _partial(file, node)
    keeps_axis = np.ndim(values[1]) == 1
    axis = attribute(node, "axis", 0) % _rank(signal)
    return _pick(file, node, signal, axis, indices[0], keeps_axis)


def slice_(file: OnnxFile, node: NodeProto, values: list[Any]) -> Signal:
    """Pick the last time step or one of several joined values, or all of an axis."""
    names = ("starts", "ends", "axes", "steps")
    starts, ends, axes, strides = (
        _integers(file, node, values, n, name) for n, name in enumerate(names, start=1)
    )
    signal = values[0]
    axes, strides = axes or [*range(len(starts))], strides or [1] * len(starts)
    for start, end, axis, stride in zip(starts, ends, axes, strides, strict=True):
        axis %= _rank(signal)
        size = _size(signal, axis)
        taken = range(size)[start:end:stride]
        if taken != range(size):
            if len(taken) != 1:
                raise _partial(file, node)
            signal = _pick(file, node, signal, axis, taken[0], keeps_axis=True)
    return signal


def _pick(
    file: OnnxFile, node: NodeProto, value: Signal | Joined, axis: int, n: int, keeps_axis: bool
) -> Signal:
    size = _size(value, axis)
    if not -size <= n < size:
        raise ConfigError(f"{file.path}: is damaged: index {n} of an axis of {size} elements.")
    if isinstance(value, Joined):
        if axis != value.axis:
            raise _partial(file, node)
        signal = value.signals[n]
    elif size == 1 or (len(value.axes[axis]) == 1 and value.axes[axis][0][0] == STEPS):
        if n % size != size - 1:
            raise _partial(file, node)
        signal = value
    else:
        raise _partial(file, node)
    axes = list(signal.axes)
    axes[axis : axis + 1] = [()] if keeps_axis else []
    return signal.with_axes(axes)


def concat(file: OnnxFile, node: NodeProto, values: list[Any]) -> Signal | Joined:
    """Put values of size 1 on an axis side by side, as the last states of several layers are."""
    if len(values) == 1:
        return values[0]
    if not all(isinstance(value, Signal) for value in values):
        raise file.refuse(node, "an operation that joins values")
    axis = attribute(node, "axis", 0) % len(values[0].axes)
    if any(value.axes != values[0].axes or value.shape[axis] != 1 for value in values):
        raise file.refuse(node, "an operation that joins values")
    return Joined(tuple(values), axis)


def _rank(value: Signal | Joined) -> int:
    return len((value.signals[0] if isinstance(value, Joined) else value).axes)


def _size(value: Signal | Joined, axis: int) -> int:
    if isinstance(value, Joined):
        return len(value.signals) if axis == value.axis else value.signals[0].shape[axis]
    return value.shape[axis]


def _partial(file: OnnxFile, node: NodeProto) -> ConfigError:
    return file.refuse(node, "an operation that takes a part of its input", LAST)


Operator = Callable[[OnnxFile, "NodeProto", list[Any]], Signal | Joined]
AXES: dict[str, Operator] = {
    "Transpose": transpose,
    "Squeeze": squeeze,
    "Unsqueeze": unsqueeze,
    "Reshape": reshape,
    "Flatten": flatten,
    "Gather": gather,
    "Slice": slice_,
    "Concat": concat,
}
OF_JOINED = ("Gather", "Slice")  # the operators that take values side by side
