"""Weights of runs and exported arrays, read back: every cell, bias and reset form."""

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.core.layer_weights import per_gate
from harness.core.model import ModelSpec, shapes
from harness.core.tolerances import LIMITS
from harness.formats import to_numpy
from harness.formats.reference import reference
from harness.formats.trained_network import Network
from harness.readers.foreign_network import ForeignNetwork, Stated
from harness.readers.tensor_files.from_numpy import read
from harness.training.checkpoints import params_writer
from tests.readers.together import complaint, damaged_copies, distances

pytestmark = pytest.mark.slow

CELLS = [  # cell, activation, biases, reset
    *product(["rnn"], ["tanh", "relu"], ["single", "double"], ["after"]),
    *product(["lstm"], ["tanh"], ["single", "double"], ["after"]),
    *product(["gru"], ["tanh"], ["single", "candidate", "double"], ["after", "before"]),
]


def network(n: int) -> Network:
    """One of as many networks of random weights as there are forms of cells."""
    cell, activation, biases, reset = CELLS[n]
    model = ModelSpec(
        cell=cell,
        features=3,
        units=5,
        layers=1 + n % 2,
        activation=activation,
        returns=("last", "every_step", "every_step")[n % 3],
        head="none" if n % 5 == 1 else "dense",
        outputs=5 if n % 5 == 1 else 2,
        biases=biases,
        reset=reset,
    )
    rng, precision = np.random.default_rng(n), ("float32", "float64")[n % 4 // 2]
    weights = {
        name: (0.5 * rng.standard_normal(shape)).astype(precision)
        for name, shape in shapes(model).items()
    }
    return Network(
        model=model,
        loss=("mse", "mse", "mse", "bce")[n % 4],
        precision=precision,
        padded=False,
        weights=weights,
        x_mean=np.zeros(3),
        x_std=np.ones(3),
        y_mean=0.0,
        y_std=1.0,
        origin="Random.",
    )


def stated(network: Network) -> Stated:
    model = network.model
    return Stated(
        activation=model.activation if model.cell == "rnn" else None,
        reset=model.reset if model.cell == "gru" else None,
        returns=model.returns,
        outputs="probabilities" if network.loss == "bce" else "values",
    )


def written(network: Network, path: Path, replicas: int) -> Path:
    """Write a run's weights; `replicas` is 0 for no such axis. The last one has the network's."""
    params = network.weights
    if replicas:
        params = {name: np.stack([0 * v] * (replicas - 1) + [v]) for name, v in params.items()}
    params_writer(params)(path)
    return path


def message(path: Path, said: Stated) -> str:
    return complaint(read, path, said)


def test_a_runs_weights_are_the_network(tmp_path: Path) -> None:
    found: list[ForeignNetwork] = []
    for n in range(len(CELLS)):
        written_one, replicas = network(n), n % 3
        path = written(written_one, tmp_path / f"{n}.safetensors", replicas)
        said = replace(stated(written_one), only="1" if replicas == 2 else None)
        found.append(read(path, said))
        assert found[-1].network.model == written_one.model
        assert found[-1].network.weights.keys() == written_one.weights.keys()
        for name, values in written_one.weights.items():
            assert np.array_equal(found[-1].network.weights[name], values)
        assert found[-1].notes[-1].startswith("A run's weights do not hold how it scaled")
    for one, error in zip(found, distances(found, tmp_path), strict=True):
        assert error <= LIMITS[one.network.precision].forward, one.usage


def test_an_exports_arrays_are_the_network(tmp_path: Path) -> None:
    found: list[ForeignNetwork] = []
    x = np.random.default_rng(0).normal(size=(4, 7, 3))
    scale: Any = {"x_mean": np.arange(3.0), "x_std": np.arange(1, 4.0), "y_mean": 3.0, "y_std": 2.0}
    for n in range(len(CELLS)):
        exported = replace(network(n), **(scale if n % 4 < 2 else {}))
        (tmp_path / f"{n}").mkdir()
        to_numpy.write(exported, tmp_path / f"{n}")
        said = stated(exported)
        said = replace(said, reset=None) if n % 2 else said
        found.append(read(tmp_path / f"{n}" / "model.npz", said))
        here = found[-1].network
        assert (here.model.reset, here.precision) == (exported.model.reset, exported.precision)
        assert (here.y_mean, here.y_std) == (exported.y_mean, exported.y_std)
        given = x.astype(exported.outer_precision)
        expected = reference(exported, given)
        assert np.allclose(reference(here, given), expected, rtol=1e-5, atol=1e-5)
    for one, error in zip(found, distances(found, tmp_path), strict=True):
        assert error <= LIMITS[one.network.precision].forward, one.usage


def test_swapped_gates_are_far_away(tmp_path: Path) -> None:
    lstm = network(4)
    path = written(lstm, tmp_path / "model.safetensors", 1)
    found = read(path, stated(lstm))
    swapped = per_gate(lstm.weights["rnn.0.kernel"], [0, 1, 3, 2])
    written(replace(lstm, weights=lstm.weights | {"rnn.0.kernel": swapped}), path, 1)
    [error] = distances([found], tmp_path)
    assert error > 1000 * LIMITS["float32"].forward


def test_what_the_file_cannot_say_is_asked_for(tmp_path: Path) -> None:
    gru = network(6)
    path = written(gru, tmp_path / "model.safetensors", 3)
    said = replace(stated(gru), only="2")
    for only in (None, "3", "-1", "rnn"):
        assert message(path, replace(said, only=only)) == (
            "--only: say one from 0 to 2: FILE has a network of each replica."
        )
    assert message(path, replace(said, reset=None)) == (
        "--reset: say after or before: a run's weights are the same with both "
        "(semantics.gru_reset)."
    )
    assert message(path, replace(said, returns=None)).startswith("--returns: say last or every_s")
    to_numpy.write(gru, tmp_path)
    assert message(tmp_path / "model.npz", replace(said, only=None, reset="before")) == (
        "FILE has GRU layers whose reset gate acts after the recurrent product; leave the option "
        "out."
    ).replace("FILE", "--reset before: FILE")


def test_wrong_arrays_are_one_line(tmp_path: Path) -> None:
    lstm, path = network(5), tmp_path / "model.safetensors"
    weights, said = lstm.weights, stated(lstm)
    changes: dict[str, tuple[Any, str]] = {
        "rnn.0.kernel": (np.ones((3, 19)), "with its other arrays it must be (3, 20)"),
        "rnn.1.kernel": (np.ones((3, 20)), "with its other arrays it must be (5, 20)"),
        "rnn.1.recurrent_kernel": (
            np.ones((5, 21)),
            "has gates of 21 values; with 5 units it must be one of 5 (rnn), 20 (lstm), 15 (gru): ",
        ),
        "rnn.1.bias": (np.ones(4), "with its other arrays it must be (20,)"),
        "rnn.0.recurrent_bias": (np.ones(5), "with its other arrays it must be (20,)"),
        "rnn.0.bias": (np.full(20, np.nan), "has values that are NaN or infinite"),
    }
    for name, (values, why) in changes.items():
        params_writer(weights | {name: values})(path)
        assert message(path, said).startswith(f"FILE: {name} "), name
        assert why in message(path, said)
    params_writer({k: v for k, v in weights.items() if k != "rnn.0.bias"})(path)
    assert message(path, said) == (
        "FILE: rnn.0.bias is missing; write it anew, or choose another file."
    )


def test_no_damaged_file_gives_more_than_a_line(tmp_path: Path) -> None:
    path = written(network(4), tmp_path / "model.safetensors", 1)
    complaints = {message(path, stated(network(4))) for _ in damaged_copies(path, 60)}
    assert len(complaints) > 5
