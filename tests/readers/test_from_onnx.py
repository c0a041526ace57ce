"""ONNX files that PyTorch, Keras and this project write, and graphs made node by node, are read.

What is read gives, in the NumPy reference, what the file itself gives in ONNX Runtime or in the
ONNX project's reference evaluator. All weights and biases are random, so a swapped gate is seen.
"""

import logging
import os
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from harness.core.errors import ConfigError
from harness.core.layer_weights import per_gate
from harness.core.model import GATES
from harness.core.tolerances import LIMITS
from harness.formats import to_onnx
from harness.formats.own_process import outputs_of
from harness.formats.reference import distance, random_inputs, reference
from harness.readers.foreign_network import ForeignNetwork, Stated
from harness.readers.onnx_files import from_onnx
from tests.export import test_onnx as exported
from tests.support.onnx_models import FEATURES, OUTPUTS, UNITS, cell, model, save, with_head

NOTHING = Stated()
SHAPES = {"last": ["N", UNITS], "every_step": ["T", "N", UNITS]}


def difference(found: ForeignNetwork, folder: Path) -> float:
    """The largest difference between what the file gives and what the reference gives."""
    network = found.network
    inputs = random_inputs(network, found.sizes)
    expected = [reference(network, x) for x in inputs]
    outputs = outputs_of(found.usage, inputs, folder)
    assert [y.shape for y in outputs] == [y.shape for y in expected]
    pairs = zip(outputs, expected, strict=True)
    return max(distance(network, y, wanted) for y, wanted in pairs)


def agrees(path: Path, stated: Stated = NOTHING) -> ForeignNetwork:
    """Read a file, and check that it gives what the network read from it gives."""
    found = from_onnx.read(path, stated)
    assert difference(found, path.parent) <= LIMITS[found.network.precision].forward
    return found


# ------------------------------------------------------------------ PyTorch


class Torch:
    """PyTorch networks as files, by both of its exporters."""

    def __init__(self) -> None:
        import torch

        class Net(torch.nn.Module):
            def __init__(self, kind: str, layers: int, batch_first: bool, end: str) -> None:
                super().__init__()
                kind, *relu = kind.split("-")
                options: dict[str, Any] = {"nonlinearity": "relu"} if relu else {}
                layer = getattr(torch.nn, kind)
                self.rnn = layer(FEATURES, UNITS, layers, batch_first=batch_first, **options)
                self.head = torch.nn.Linear(UNITS, OUTPUTS)
                self.batch_first, self.end = batch_first, end

            def forward(self, x: Any) -> Any:
                y, h = self.rnn(x)
                if self.end == "h_n":
                    return self.head((h[0] if isinstance(h, tuple) else h)[-1])
                if self.end == "last":
                    return self.head(y[:, -1] if self.batch_first else y[-1])
                return torch.sigmoid(self.head(y))

        self.torch, self.Net = torch, Net
        torch.manual_seed(0)

    def export(self, path: Path, dynamo: bool, *arguments: Any) -> Path:
        torch, net = self.torch, self.Net(*arguments).eval()
        x, names = torch.randn(4, 7, FEATURES), {0: "one", 1: "other"}
        if dynamo:
            open_sizes = {n: torch.export.Dim(name) for n, name in names.items()}
            shapes: dict[str, Any] = {"dynamic_shapes": {"x": open_sizes}, "verbose": False}
        else:
            shapes = {"dynamic_axes": {"x": names}}
        torch.onnx.export(net, (x,), path, dynamo=dynamo, input_names=["x"], **shapes)
        return path


@pytest.fixture(scope="module")
def torch_files() -> Torch:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    return Torch()


ENDS = ("last", "h_n", "every_step")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # PyTorch's exporters warn of themselves
@pytest.mark.parametrize("kind", ["RNN", "RNN-relu", "LSTM", "GRU"])
def test_pytorch_without_dynamo(kind: str, torch_files: Torch, tmp_path: Path) -> None:
    for end, batch_first in product(ENDS, (True, False)):
        layers = 1 if (end == "h_n") == batch_first else 2
        path = torch_files.export(tmp_path / "m.onnx", False, kind, layers, batch_first, end)
        found = agrees(path)
        spec, wanted = found.network.model, "every_step" if end == "every_step" else "last"
        assert (spec.cell, spec.layers, spec.returns) == (
            kind[:4].strip("-").lower(),
            layers,
            wanted,
        )
        assert spec.activation == ("relu" if kind == "RNN-relu" else "tanh")
        assert (spec.biases, spec.reset) == ("double", "after")
        assert found.network.loss == ("bce" if end == "every_step" else "mse")
        assert found.notes == []


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_pytorch_with_dynamo(kind: str, torch_files: Torch, tmp_path: Path) -> None:
    for end, batch_first in (("last", True), ("last", False), ("h_n", True), ("every_step", False)):
        path = torch_files.export(tmp_path / "m.onnx", True, kind, 2, batch_first, end)
        found = agrees(path)
        spec = found.network.model
        assert (spec.cell, spec.layers, spec.units) == (kind.lower(), 2, UNITS)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_pytorch_with_dynamo_unrolls_the_simple_cell(torch_files: Torch, tmp_path: Path) -> None:
    path = torch_files.export(tmp_path / "m.onnx", True, "RNN", 1, True, "last")
    with pytest.raises(ConfigError) as caught:
        from_onnx.read(path, NOTHING)
    assert str(caught.value) == (
        f"{path}: output linear_8 has no RNN, LSTM or GRU node: its recurrence may be unrolled; "
        "export it with those nodes, by torch.onnx.export(…, dynamo=False), or give the "
        "framework's own file, written by torch.save(model.state_dict(), 'NAME.pt') or Keras' "
        "model.save('NAME.keras')."
    )


# ------------------------------------------------------------------ Keras, by tf2onnx


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # tf2onnx uses what NumPy 2 and Keras have deprecated
def test_keras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    def export(kind: str, count: int, every_step: bool, *head: Any) -> Path:
        returned = [True] * (count - 1) + [every_step]
        random: Any = {"bias_initializer": "random_normal"}
        layers = [
            getattr(keras.layers, kind)(UNITS, return_sequences=each, **random) for each in returned
        ]
        net = keras.Sequential([keras.Input((None, FEATURES)), *layers, *head])
        net(np.zeros((2, 7, FEATURES), np.float32))  # Keras exports what was called
        path = tmp_path / "m.onnx"
        net.export(os.fspath(path), format="onnx", verbose=False)
        return path

    sigmoid = keras.layers.Dense(OUTPUTS, "sigmoid", bias_initializer="random_normal")
    found = agrees(export("LSTM", 2, False, keras.layers.Dense(OUTPUTS))).network
    assert (found.model.layers, found.model.returns, found.loss) == (2, "last", "mse")
    assert (found.model.biases, found.model.head) == ("single", "dense")
    found = agrees(export("LSTM", 1, True, sigmoid)).network
    assert (found.model.layers, found.model.returns, found.loss) == (1, "every_step", "bce")
    assert agrees(export("LSTM", 1, True)).network.model.head == "none"
    # tf2onnx writes Keras 3's other cells as loops.
    for kind in ("GRU", "SimpleRNN"):
        with pytest.raises(ConfigError, match=r"may be in node .* \(Loop\); export it with those"):
            from_onnx.read(export(kind, 1, False), NOTHING)


def test_tf2onnx_pattern_of_a_gru(tmp_path: Path) -> None:
    """By hand, as tf2onnx writes the GRU of TensorFlow 1 and Keras 2; for Keras 3 it does not.

    The state is zeros of a computed shape, the batch is first, and the last step is a slice.
    """
    node, tensors = cell("GRU", source="x_t", activations=["Sigmoid", "Tanh"])
    node.input.extend(["", "state"])
    content = model([], tensors, {"y": ["N", UNITS]}, sizes=("N", "T", FEATURES))
    numbers = {"zero": [0], "one": [1], "units": [UNITS], "last": [-1], "end": [2**31 - 1]}
    for name, value in numbers.items():
        content.graph.initializer.append(
            onnx.numpy_helper.from_array(np.array(value, np.int64), name)
        )
    make = helper.make_node
    content.graph.node.extend(
        [
            make("Transpose", ["x"], ["x_t"], perm=[1, 0, 2]),
            make("Shape", ["x"], ["shape"]),
            make("Cast", ["shape"], ["shape32"], to=onnx.TensorProto.INT32),
            make("Slice", ["shape32", "zero", "one", "zero"], ["batch32"]),
            make("Cast", ["batch32"], ["batch"], to=onnx.TensorProto.INT64),
            make("Concat", ["batch", "units"], ["state_shape"], axis=0),
            make("ConstantOfShape", ["state_shape"], ["zeros"]),
            make("Unsqueeze", ["zeros", "zero"], ["state"]),
            node,
            make("Squeeze", ["Y_0", "one"], ["states"]),
            make("Slice", ["states", "last", "end", "zero"], ["step"]),
            make("Squeeze", ["step", "zero"], ["y"]),
        ]
    )
    found = agrees(save(content, tmp_path / "m.onnx"))
    assert (found.network.model.reset, found.network.model.returns) == ("before", "last")


# ------------------------------------------------------------------ this project's own exports


@pytest.mark.parametrize("form", exported.CELLS, ids="-".join)
def test_own_export(form: tuple[str, str, str, str], tmp_path: Path) -> None:
    network = exported.network(form, 2, "every_step" if form[2] == "double" else "last")
    scaled = replace(network, x_mean=np.arange(3.0), x_std=np.full(3, 2.0), y_mean=3.0, y_std=4.0)
    for written in (network, scaled, replace(network, loss="bce")):
        to_onnx.write(written, tmp_path)
        read = agrees(tmp_path / "model.onnx").network
        assert (read.loss, read.precision) == (written.loss, "float32")
        assert (read.y_mean, read.y_std) == (written.y_mean, written.y_std)
        np.testing.assert_array_equal(read.x_mean, written.x_mean)
        np.testing.assert_array_equal(read.x_std, written.x_std)
        for one, other in zip(read.layers, written.layers, strict=True):
            for array, wanted in zip(one, other, strict=True):
                np.testing.assert_array_equal(array, wanted)


# ------------------------------------------------------------------ graphs made node by node

CELLS = [
    ("RNN", {}),
    ("RNN", {"activations": ["Relu"]}),
    ("LSTM", {}),
    ("GRU", {"linear_before_reset": 1}),
    ("GRU", {"linear_before_reset": 0}),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("op", "attributes"), CELLS)
def test_types_and_layouts(op: str, attributes: Any, dtype: str, tmp_path: Path) -> None:
    """Float64 and layout 1 by the reference evaluator of the ONNX project."""
    for layout, returns in ((0, "every_step"), (1, "last")):
        node, tensors = cell(op, dtype=dtype, layout=layout, **attributes)
        name = "Y_0" if returns == "every_step" else "Y_h_0"
        shape = ["T", 1, "N", UNITS] if returns == "every_step" else ["N", 1, UNITS]
        sizes = ("N", "T", FEATURES) if layout else ("T", "N", FEATURES)
        content = model([node], tensors, {name: shape}, dtype, sizes=sizes)
        network = agrees(save(content, tmp_path / "m.onnx")).network
        assert (network.precision, network.model.returns) == (dtype, returns)
        assert network.model.reset == (
            "before" if attributes.get("linear_before_reset") == 0 else "after"
        )


@pytest.mark.parametrize("layout", [0, 1])
def test_float16_becomes_float32(layout: int, tmp_path: Path) -> None:
    node, tensors = cell("GRU", dtype="float16", layout=layout)
    cast = helper.make_node("Cast", ["Y_0"], ["y"], to=onnx.TensorProto.FLOAT16)
    content = model([node, cast], tensors, {"y": [None, None, None, UNITS]}, "float16")
    found = agrees(save(content, tmp_path / "m.onnx"))
    assert found.network.precision == "float32"
    assert found.notes == ["What is float16 in the file became float32."]


@pytest.mark.parametrize("op", ["LSTM", "GRU"])
def test_gates_swapped_in_the_file_are_seen(op: str, tmp_path: Path) -> None:
    path = save(with_head(op), tmp_path / "m.onnx")
    found = from_onnx.read(path, NOTHING)
    content = onnx.load(path)
    for tensor in content.graph.initializer[:2]:
        gates = [1, 0, *range(2, GATES[op.lower()])]
        swapped = per_gate(onnx.numpy_helper.to_array(tensor), gates, axis=1)
        tensor.CopyFrom(onnx.numpy_helper.from_array(swapped, tensor.name))
    save(content, path)
    assert difference(found, tmp_path) > 1000 * LIMITS["float32"].forward


def test_fixed_sizes_are_kept(tmp_path: Path) -> None:
    node, tensors = cell("GRU")
    content = model([node], tensors, {"Y_0": [7, 1, 4, UNITS]}, sizes=(7, 4, FEATURES))
    found = agrees(save(content, tmp_path / "m.onnx"))
    assert found.sizes == (4, 7)
    assert found.notes == ["The file itself takes only x of 4 sequences by 7 steps."]


def test_arrays_in_another_file(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    onnx.save(with_head(), path, save_as_external_data=True, location="d", size_threshold=100)
    agrees(path)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_head_can_be_left_out(dtype: str, tmp_path: Path) -> None:
    path = save(with_head(dtype=dtype), tmp_path / "m.onnx")
    found = agrees(path, Stated(head="none"))
    assert (found.network.model.head, found.network.model.outputs) == ("none", UNITS)
    assert found.notes == ["Not part of the network: node head (Gemm)."]
    assert agrees(path, Stated(head="head")).network.model.head == "dense"


def test_without_biases(tmp_path: Path) -> None:
    content = with_head()
    del content.graph.node[0].input[3:]
    del content.graph.node[2].input[2:]
    found = agrees(save(content, tmp_path / "m.onnx"))
    assert found.network.model.biases == "single"
    assert found.notes == [
        "node layer_0 (LSTM), node head (Gemm): without biases in the file; zeros are taken and "
        "count as weights."
    ]
