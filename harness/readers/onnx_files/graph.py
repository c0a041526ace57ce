"""What the output of an ONNX graph is, found by following the graph from its input, node by node.

Only nodes on which the output depends are followed. What depends on no input is computed; what does
is a `Signal`, whose axes and network each node changes. Where the file leaves the numbers of
sequences and steps open, two primes stand for them, which no other size is by accident.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.core.errors import ConfigError
from harness.readers.onnx_files import constants
from harness.readers.onnx_files.axes import AXES, OF_JOINED
from harness.readers.onnx_files.dense import DENSE
from harness.readers.onnx_files.file import OnnxFile, attribute, label
from harness.readers.onnx_files.signal import OPEN, Bound, Computed, Joined, Signal
from harness.readers.onnx_files.stack import add_layer

if TYPE_CHECKING:
    from onnx import NodeProto, ValueInfoProto

CELLS = ("RNN", "LSTM", "GRU")
FLOATS = {1: "float32", 10: "float16", 11: "float64"}  # of TensorProto.DataType
ELSE = "an operation beside recurrent layers, one dense layer and a sigmoid"


def follow(file: OnnxFile, output: str, with_head: bool) -> tuple[Signal, str, list[str]]:
    """Return what `output` is, or what goes into its dense layer; its name; and nodes left out.

    Raises `ConfigError` for a graph that no network here can express.
    """
    try:
        return _follow(file, output, with_head)
    except Bound as found:
        if found.axis in file.bound:
            raise ConfigError(
                f"{file.path}: is damaged: its sizes contradict one another."
            ) from found
        file.bound[found.axis] = found.size
        return follow(file, output, with_head)


def _follow(file: OnnxFile, output: str, with_head: bool) -> tuple[Signal, str, list[str]]:
    nodes = list(ancestors(file, output))
    recurrent = [node for node in nodes if node.op_type in CELLS and not node.domain]
    if not recurrent:
        raise _without_layers(file, output, nodes)
    values: dict[str, Any] = {"": None}
    values |= {i.name: _input(file, i) for i in file.inputs}
    for n, node in enumerate(nodes):
        inputs = [_value(file, values, name) for name in node.input]
        ended = not with_head and recurrent[-1] in nodes[:n] and node.op_type in ("MatMul", "Gemm")
        if ended and isinstance(inputs[0], Signal):
            output = node.input[0]
            return inputs[0], output, [label(left_out) for left_out in nodes[n:]]
        results = _apply(file, node, inputs)
        values |= zip(node.output, results, strict=False)
    result = _value(file, values, output)
    if not isinstance(result, Signal):
        raise ConfigError(
            f"{file.path}: output {output} must be one value of the last layer, and is a constant "
            "or values of several layers; choose another by --only."
        )
    return result, output, []


def ancestors(file: OnnxFile, output: str) -> Iterator[NodeProto]:
    """Give the nodes on which a value depends, in the order of the file."""
    wanted, found = {output}, []
    for node in reversed(file.graph.node):  # the standard has them sorted
        if wanted & set(node.output):
            found.append(node)
            wanted |= set(node.input) - {""}
    return reversed(found)


def _without_layers(file: OnnxFile, output: str, nodes: list[NodeProto]) -> ConfigError:
    loops = [label(node) for node in nodes if node.op_type in ("Loop", "Scan", "If")]
    where = f"its recurrence may be in {loops[0]}" if loops else "its recurrence may be unrolled"
    return ConfigError(
        f"{file.path}: output {output} has no RNN, LSTM or GRU node: {where}; export it with those "
        "nodes, by torch.onnx.export(…, dynamo=False), or give the framework's own file, written "
        "by torch.save(model.state_dict(), 'NAME.pt') or Keras' model.save('NAME.keras')."
    )


def _input(file: OnnxFile, info: ValueInfoProto) -> Signal:
    axes = [((str(n), size or OPEN[n % 3]),) for n, size in enumerate(file.sizes(info))]
    kind = FLOATS.get(info.type.tensor_type.elem_type, "other numbers")
    return Signal(axes=tuple(axes), by=Computed(input=info.name, types=frozenset({kind})))


def _value(file: OnnxFile, values: dict[str, Any], name: str) -> Any:
    """Return a value by name; an array of the file is read when it is first asked for."""
    if name not in values:
        if name not in file.tensors:
            raise ConfigError(f"{file.path}: {name} is not computed by any node or known.")
        values[name] = file.array(file.tensors[name])
    if isinstance(values[name], ConfigError):
        raise values[name]
    return values[name]


def _apply(file: OnnxFile, node: NodeProto, inputs: list[Any]) -> list[Any]:
    """Return the results of a node."""
    operator, first = node.op_type, inputs[0] if inputs else None
    if node.domain not in ("", "ai.onnx"):
        raise file.refuse(node, f"an operation of {node.domain}")
    if operator in CELLS and isinstance(first, Signal):
        return add_layer(file, node, inputs)
    if operator == "Shape" and isinstance(first, Signal):
        sizes = np.array(first.shape)
        return [sizes[attribute(node, "start", 0) : attribute(node, "end", len(sizes))]]
    if not any(isinstance(value, Signal | Joined) for value in inputs):
        return [constants.compute(file, node, inputs)]
    if operator in AXES and isinstance(
        first, (Signal, Joined) if operator in OF_JOINED else Signal
    ):
        return [AXES[operator](file, node, inputs)]
    if operator in DENSE:
        return [DENSE[operator](file, node, inputs)]
    if operator in ("Identity", "Dropout", "Cast") and isinstance(first, Signal):
        return [_pass(file, node, inputs)]
    raise file.refuse(node, ELSE)


def _pass(file: OnnxFile, node: NodeProto, inputs: list[Any]) -> Signal:
    """Return the value of a node that does nothing but change the type."""
    signal: Signal = inputs[0]
    if node.op_type == "Dropout" and len(inputs) > 2 and np.any(inputs[2]):
        raise file.refuse(node, "a dropout that acts after training, too")
    if node.op_type != "Cast":
        return signal
    kind = FLOATS.get(attribute(node, "to"))
    if kind is None:
        raise file.refuse(node, "a cast to another type than float16, float32 or float64")
    return replace(signal, by=replace(signal.by, types=signal.by.types | {kind}))
