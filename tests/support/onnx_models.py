"""ONNX models of recurrent nodes with random weights, made node by node."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from harness.core.arrays import Array
from harness.core.model import GATES

FEATURES, UNITS, OUTPUTS = 3, 5, 2


def random(*shape: int, dtype: str = "float32") -> Array:
    """Random numbers that depend on the shape alone."""
    return (0.5 * np.random.default_rng([*shape]).standard_normal(shape)).astype(dtype)


def cell(
    op: str, number: int = 0, source: str = "x", dtype: str = "float32", **attributes: Any
) -> tuple[Any, list[Any]]:
    """A recurrent node, `layer_0` of `source`, and its weights."""
    rows, features = GATES[op.lower()] * UNITS, UNITS if number else FEATURES
    names = [f"{letter}_{number}" for letter in "WRB"]
    arrays = [
        random(1, rows, features, dtype=dtype),
        random(1, rows, UNITS, dtype=dtype),
        random(1, 2 * rows, dtype=dtype),
    ]
    tensors = [numpy_helper.from_array(a, n) for a, n in zip(arrays, names, strict=True)]
    outputs = [f"Y_{number}", f"Y_h_{number}", *([f"Y_c_{number}"] if op == "LSTM" else [])]
    settings = {"hidden_size": UNITS, **attributes}
    node = helper.make_node(op, [source, *names], outputs, name=f"layer_{number}", **settings)
    return node, tensors


def model(
    nodes: list[Any],
    tensors: list[Any],
    outputs: dict[str, list[Any]],
    dtype: str = "float32",
    opset: int = 17,
    sizes: tuple[Any, ...] = ("T", "N", FEATURES),
) -> Any:
    """A model of nodes whose input is x; time before the batch unless `sizes` says otherwise."""
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("x", kind, sizes)],
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in outputs.items()],
        tensors,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def with_head(op: str = "LSTM", dtype: str = "float32", **attributes: Any) -> Any:
    """A layer's last state, then a dense layer: `y` `(N, O)`."""
    node, tensors = cell(op, dtype=dtype, **attributes)
    kernel, bias = random(UNITS, OUTPUTS, dtype=dtype), random(OUTPUTS, dtype=dtype)
    tensors += [numpy_helper.from_array(a, n) for a, n in ((kernel, "kernel"), (bias, "bias"))]
    tensors.append(numpy_helper.from_array(np.array([0]), "zero"))
    nodes = [
        node,
        helper.make_node("Squeeze", ["Y_h_0", "zero"], ["state"], name="squeeze"),
        helper.make_node("Gemm", ["state", "kernel", "bias"], ["y"], name="head"),
    ]
    return model(nodes, tensors, {"y": ["N", OUTPUTS]}, dtype)


def constant(content: Any, name: str, value: Array) -> str:
    """Add a constant to a model and return its name."""
    content.graph.initializer.append(numpy_helper.from_array(value, name))
    return name


def insert(content: Any, op: str, *inputs: str, **attributes: Any) -> None:
    """Put one more node behind the model's last, whose result becomes the output `y`."""
    content.graph.node[-1].output[0] = "inner"
    node = helper.make_node(op, ["inner", *inputs], ["y"], name="extra", **attributes)
    content.graph.node.append(node)


def save(content: Any, path: Path) -> Path:
    """Write a model; return its path."""
    onnx.save(content, path)
    return path
