"""What `python -m harness.vectors OUT` writes: PyTorch and ONNX Runtime compute the same from every
file, and do not where gates, reset forms, biases or optimisers are mistaken."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backends import Array
from harness.vectors.cases import CASES
from tests.vectors.reading import error, read

NAMES = [case.name for case in CASES]
FORWARD, GRADIENT, TRAINED = 1e-12, 1e-10, 1e-10
FLOAT32 = 1e-5


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """PyTorch's threads would wait for each other, and nothing here is large."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def errors(v: dict[str, Array], facts: Any, **changes: Any) -> dict[str, float]:
    """What PyTorch computes for each array, against what is written: the largest error of each
    kind. `changes` are mistakes in reading, see `build`."""
    import torch

    from tests.vectors.plain_torch import build, loss_of

    network = build(v, facts["network"], **changes)
    x = torch.tensor(v["x"], requires_grad=True)
    outputs, loss = loss_of(network, v, x)
    loss.backward()
    assert x.grad is not None
    mask = v.get("mask", np.ones(v["x"].shape[:2], bool))
    found = network.named(gradients=True) | {"x": x.grad.numpy()}
    assert {f"gradients/{name}" for name in found} == {n for n in v if n.startswith("gradients/")}
    return {
        "outputs": error(outputs.detach().numpy(), v["outputs"][mask]),
        "loss": error(loss.item(), v["loss"]),
        "gradients": max(error(value, v[f"gradients/{n}"]) for n, value in found.items()),
    }


@pytest.mark.parametrize("name", NAMES)
def test_pytorch_computes_the_same(written: Path, name: str) -> None:
    from tests.vectors.plain_torch import build, trained

    v, facts = read(written, name)
    found = errors(v, facts)
    assert found["outputs"] < FORWARD
    assert found["loss"] < FORWARD
    assert found["gradients"] < GRADIENT
    for optimizer, settings in facts["optimizers"].items():
        network, folder = build(v, facts["network"]), f"optimizers/{optimizer}"
        assert error(trained(network, optimizer, v, settings), v[f"{folder}/losses"]) < TRAINED
        after = network.named(gradients=False)
        assert max(error(w, v[f"{folder}/params/{n}"]) for n, w in after.items()) < TRAINED


def swapped_biases(v: dict[str, Array]) -> dict[str, Array]:
    name = "params/rnn.0.bias"
    return v | {name: v[name][::-1]}


def test_a_mistake_in_reading_shows(written: Path) -> None:
    for name, order in (
        ("lstm-one_bias-T7", [1, 0, 2, 3]),
        ("lstm-one_bias-T7", [0, 1, 3, 2]),
        ("gru_reset_after-one_bias-ragged", [0, 1, 2]),
        ("gru_reset_after-two_biases-stacked", [1, 2, 0]),
    ):
        assert min(errors(*read(written, name), order=order).values()) > 1e-3, f"{name} {order}"
    for reset, other in (("after", "before"), ("before", "after")):
        v, facts = read(written, f"gru_reset_{reset}-two_biases-T7")
        facts["network"]["reset_gate"] = other
        assert min(errors(v, facts).values()) > 1e-3, f"{reset} read as {other}"
    v, facts = read(written, "gru_reset_after-two_biases-T1")
    assert min(errors(swapped_biases(v), facts).values()) > 1e-3, "a bias on the other side"
    v, facts = read(written, "lstm-one_bias-T7")
    transposed = v["params/rnn.0.recurrent_kernel"].reshape(6, 4, 6).transpose(2, 1, 0)
    wrong = v | {"params/rnn.0.recurrent_kernel": transposed.reshape(6, 24)}
    assert min(errors(wrong, facts).values()) > 1e-3, "a transposed recurrent kernel"


def test_a_wrong_optimizer_shows(written: Path) -> None:
    from tests.vectors.plain_torch import build, trained

    v, facts = read(written, "lstm-two_biases-T7")
    for name, change in (
        ("momentum", {"momentum": 0.89}),
        ("adam", {"beta2": 0.99}),
        ("rmsprop", {"epsilon": 1e-6}),
    ):
        settings = facts["optimizers"][name] | change
        losses = trained(build(v, facts["network"]), name, v, settings)
        assert error(losses, v[f"optimizers/{name}/losses"]) > 1000 * TRAINED, name
    settings = facts["optimizers"]["momentum"]
    losses = trained(build(v, facts["network"]), "nesterov", v, settings)
    assert error(losses, v["optimizers/momentum/losses"]) > 1000 * TRAINED


def in_runtime(model: Any, v: dict[str, Array]) -> Array:
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    inputs: dict[str, Array] = {"x": v["x"].astype(np.float32)}
    if "lengths" in v:
        inputs["lengths"] = v["lengths"].astype(np.int32)
    return np.asarray(session.run(["y"], inputs)[0])


def test_onnx_runtime_computes_the_same(written: Path) -> None:
    for name in NAMES:
        v, facts = read(written, name)
        y = in_runtime(str(written / facts["files"]["model"]), v)
        mask = v.get("mask", np.ones(v["x"].shape[:2], bool))
        assert error(y[mask], v["outputs"][mask]) < FLOAT32, name
        assert not y[~mask].any(), f"{name}: padding"


def test_the_other_reset_form_shows_in_onnx_runtime(written: Path) -> None:
    import onnx

    for reset in ("after", "before"):
        v, facts = read(written, f"gru_reset_{reset}-one_bias-T7")
        model = onnx.load(written / facts["files"]["model"])
        [gru] = [node for node in model.graph.node if node.op_type == "GRU"]
        [form] = [a for a in gru.attribute if a.name == "linear_before_reset"]
        form.i = 1 - form.i
        assert error(in_runtime(model.SerializeToString(), v), v["outputs"]) > 1000 * FLOAT32
