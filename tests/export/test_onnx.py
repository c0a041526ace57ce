"""ONNX models of random networks against the NumPy reference: every cell, bias and reset form.

PyTorch's exporter (onnxscript) wrote every GRU with the wrong `linear_before_reset` for half a
year, and the standard's own examples, whose weights are constant, could not see it. So all weights
and biases are random here, and the wrong form must fail the export's own check.
"""

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from backends import Data, State
from backends.numpy_backend import NumpyBackend
from harness.core.model import ModelSpec, shapes
from harness.core.tolerances import LIMITS
from harness.export import check
from harness.formats import to_onnx
from harness.formats.reference import reference
from harness.formats.trained_network import Array, Network
from tests.support.problems import Case

LAYERS, RETURNS = (1, 3), ("last", "every_step")
CELLS = [  # cell, activation, biases, reset
    *product(["rnn"], ["tanh", "relu"], ["single", "double"], ["after"]),
    *product(["lstm"], ["tanh"], ["single", "double"], ["after"]),
    *product(["gru"], ["tanh"], ["single", "candidate", "double"], ["after", "before"]),
]
GRUS = [form for form in CELLS if form[0] == "gru"]


def network(form: tuple[str, str, str, str], layers: int, returns: str) -> Network:
    """A network of random weights; no two sizes are equal."""
    cell, activation, biases, reset = form
    model = ModelSpec(
        cell=cell,
        features=3,
        units=5,
        layers=layers,
        activation=activation,
        returns=returns,
        head="dense",
        outputs=2,
        biases=biases,
        reset=reset,
    )
    rng = np.random.default_rng(list(repr((form, layers, returns)).encode()))
    weights = {
        name: (0.5 * rng.standard_normal(shape)).astype(np.float32)
        for name, shape in shapes(model).items()
    }
    mean, std = np.zeros(3), np.ones(3)
    return Network(
        model=model,
        loss="mse",
        precision="float32",
        padded=False,
        weights=weights,
        x_mean=mean,
        x_std=std,
        y_mean=0.0,
        y_std=1.0,
        origin="Random.",
    )


def session(network: Network) -> onnxruntime.InferenceSession:
    content = to_onnx.build(network).SerializeToString()
    return onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])


def answers(model: onnxruntime.InferenceSession, x: Array) -> Array:
    return np.asarray(model.run(["y"], {"x": x})[0])


def inputs(samples: int, time_steps: int) -> Array:
    return np.random.default_rng(0).standard_normal((samples, time_steps, 3)).astype(np.float32)


def distance(one: Array, other: Array) -> float:
    """The largest difference, as a share of the largest output."""
    assert one.shape == other.shape
    return float(np.abs(one - other).max() / np.abs(other).max())


@pytest.mark.parametrize("form", CELLS, ids="-".join)
def test_onnx_runtime_computes_what_the_reference_does(form: tuple[str, str, str, str]) -> None:
    for layers, returns in product(LAYERS, RETURNS):
        exported = network(form, layers, returns)
        model = session(exported)
        for x in (inputs(4, 1), inputs(1, 33), inputs(6, 7)):
            error = distance(answers(model, x), reference(exported, x))
            assert error <= LIMITS["float32"].forward, (layers, returns, x.shape)


@pytest.mark.parametrize("form", CELLS, ids="-".join)
def test_sequences_alone_give_what_they_give_padded_and_masked(
    form: tuple[str, str, str, str],
) -> None:
    exported, lengths, x = network(form, 2, "last"), (7, 3, 1, 5), inputs(4, 7)
    mask = np.arange(7) < np.array(lengths)[:, None]
    padded = np.where(mask[..., None], x, 9.9).astype(np.float32)
    nothing = np.zeros((1, 1, 1, 1), np.float32)
    backend = NumpyBackend(
        exported.model,
        Case("onnx").problem("float32", 1).training,
        Data(nothing, nothing),
        State({name: value[None] for name, value in exported.weights.items()}),
    )
    together = backend.predict(padded[None], mask[None])[0]
    model = session(exported)
    alone = [answers(model, x[n : n + 1, :length]) for n, length in enumerate(lengths)]
    assert distance(np.concatenate(alone), together) <= LIMITS["float32"].forward


def other_reset_form(model: Any) -> int:
    """Exchange the form of each GRU of an ONNX model; how many there are."""
    grus = [node for node in model.graph.node if node.op_type == "GRU"]
    for node in grus:
        (form,) = (a for a in node.attribute if a.name == "linear_before_reset")
        form.i = 1 - form.i
    return len(grus)


@pytest.mark.parametrize("form", GRUS, ids="-".join)
def test_the_two_reset_forms_are_far_apart(form: tuple[str, str, str, str]) -> None:
    """Or else the test above could not tell one from the other."""
    exported = network(form, 1, "last")
    model = to_onnx.build(exported)
    assert other_reset_form(model) == 1
    wrong = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    x = inputs(6, 7)
    error = distance(answers(wrong, x), reference(exported, x))
    assert error > 1000 * LIMITS["float32"].forward


@pytest.mark.parametrize("reset", ["after", "before"])
def test_the_check_refuses_the_other_reset_form(reset: str, tmp_path: Path) -> None:
    exported = network(("gru", "tanh", "single", reset), 2, "every_step")
    to_onnx.write(exported, tmp_path)
    model = onnx.load(tmp_path / "model.onnx")
    assert other_reset_form(model) == 2
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(check.Unfaithful, match="differs from the run's by"):
        check.check(exported, tmp_path, to_onnx.USAGE)
