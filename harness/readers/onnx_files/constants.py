"""Constants and shapes that an ONNX graph computes, by the standard's own reference operators.

Exporters compute sizes, positions and, without constant folding, the order of the gates. How large
a result will be is known before it is computed, so no file can claim more memory than it has bytes.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.core.arrays import Array
from harness.core.errors import ConfigError, first_line
from harness.readers.onnx_files.file import OnnxFile, attribute, label
from harness.readers.onnx_files.signal import Zeros

if TYPE_CHECKING:
    from onnx import NodeProto

FILLS = ("ConstantOfShape", "Expand")
REARRANGES = ("Identity", "Cast", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Slice", "Concat")
# On sizes and positions alone: broadcasting makes large arrays out of small ones.
ARITHMETIC = ("Add", "Sub", "Mul", "Div", "Equal", "Where", "Gather", "Range")
SIZES = 64  # elements that sizes and positions have at most
OPERATORS = ("Constant", "Shape", *FILLS, *REARRANGES, *ARITHMETIC)


def compute(file: OnnxFile, node: NodeProto, inputs: list[Any]) -> Array | Zeros:
    """Return a node's result on constants; raise `ConfigError` for an operator not known here."""
    if node.op_type not in OPERATORS:
        raise file.refuse(node, "an operation on constants")
    if node.op_type in FILLS and _fills_with_zeros(file, node, inputs):
        return Zeros()
    if any(isinstance(value, Zeros) for value in inputs):
        if node.op_type in (*REARRANGES, "Gather"):
            return Zeros()
        raise file.refuse(node, "an operation on an initial state")
    if _size(node, inputs) > file.room:
        state = ", such as an initial state that is not zero" if node.op_type in FILLS else ""
        raise file.refuse(node, f"a constant larger than the file{state}")
    return _run(file, node, inputs)


def _fills_with_zeros(file: OnnxFile, node: NodeProto, inputs: list[Any]) -> bool:
    """Return whether a node makes an array of zeros, as of an initial state."""
    if node.op_type == "ConstantOfShape":
        tensor = attribute(node, "value")
        value = np.zeros(1, np.float32) if tensor is None else file.array(tensor)
    else:
        value = inputs[0]
    return isinstance(value, Zeros) or (value.dtype.kind == "f" and not value.any())


def _size(node: NodeProto, inputs: list[Any]) -> int:
    """Return how many elements a node's result will have at most."""
    sizes = [value.size for value in inputs if value is not None]
    if node.op_type in FILLS:
        return math.prod(int(n) for n in inputs[-1].ravel()) * (sizes[0] if len(sizes) > 1 else 1)
    if node.op_type == "Range":
        start, stop, step = (float(value) for value in inputs)
        return abs(int((stop - start) / (step or 1)))
    if node.op_type in ARITHMETIC:
        return 0 if max(sizes) <= SIZES else 2**63
    return sum(sizes)


def _run(file: OnnxFile, node: NodeProto, inputs: list[Any]) -> Array:
    from onnx import TensorProto, helper
    from onnx.reference import ReferenceEvaluator

    if node.op_type == "Constant" and attribute(node, "value") is not None:
        return file.array(attribute(node, "value"))  # which may lie in another file
    feeds = {n: v for n, v in zip(node.input, inputs, strict=True) if n}
    known = [
        helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape)
        for n, v in feeds.items()
    ]
    result = helper.make_tensor_value_info(node.output[0], TensorProto.UNDEFINED, None)
    graph = helper.make_graph([node], "constant", known, [result])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", file.opset)])
    try:
        [value] = ReferenceEvaluator(model).run(None, feeds)
    except Exception as error:  # whatever the operator meets in a damaged file
        raise ConfigError(
            f"{file.path}: is damaged ({label(node)}: {first_line(error)}); export it again."
        ) from error
    return np.asarray(value)
