"""The rules of a plain program of Flax' nnx, whose step changes the model in place."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from harness import recorder
from harness.identify.__main__ import main
from tests.identify.hand_written import altered

rng = np.random.default_rng(0)
X = rng.normal(size=(20, 5, 2))
Y = X[:, :, 0].sum(1, keepdims=True)


class Network(nnx.Module):
    def __init__(self, cell: Any, dtype: str, rngs: nnx.Rngs) -> None:
        self.rnn = nnx.RNN(cell(2, 4, rngs=rngs, param_dtype=dtype, dtype=dtype))
        self.head = nnx.Linear(4, 1, rngs=rngs, param_dtype=dtype)

    def __call__(self, x: jax.Array) -> jax.Array:
        hidden: Any = self.rnn(x)
        return self.head(hidden[:, -1])


def record(folder: Path, cell: Any, dtype: str) -> None:
    network = Network(cell, dtype, nnx.Rngs(0))
    optimizer = nnx.Optimizer(network, optax.adam(0.01), wrt=nnx.Param)

    @nnx.jit
    def step(network: Any, optimizer: Any, x: Any, y: Any) -> jax.Array:
        def loss_of(network: Any) -> jax.Array:
            return jnp.mean((network(x) - y) ** 2)

        loss, gradients = nnx.value_and_grad(loss_of)(network)
        optimizer.update(network, gradients)
        return loss

    order, x, y = np.random.default_rng(1), X.astype(dtype), Y.astype(dtype)
    with recorder.jax(
        folder,
        step,
        params=nnx.state(network, nnx.Param),
        takes=("network", "optimizer", "x", "y"),
        returns=("loss",),
        learning_rate=0.01,
    ) as recorded:
        for _ in range(6):
            for rows in np.array_split(order.permutation(20), 3):
                recorded(network, optimizer, x[rows], y[rows])


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize(
    ("cell", "said", "wrong", "said_of_wrong"),
    [
        (
            nnx.GRUCell,
            "semantics=jax with gru_biases=single",
            {"semantics__gru_biases": "double", "semantics__beta_powers": "float64"},
            "semantics=matched",
        ),
        (
            nnx.OptimizedLSTMCell,
            "semantics=jax",
            {"semantics__biases": "double"},
            "semantics=torch",
        ),
    ],
)
def test_a_plain_program_and_an_altered_recording_are_told_apart(
    cell: Any,
    said: str,
    wrong: dict[str, Any],
    said_of_wrong: str,
    precision: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with jax.enable_x64(precision == "float64"):
        record(tmp_path / "recorded", cell, precision)
    altered(tmp_path / "recorded", tmp_path / "altered", **wrong)
    for folder, answer in (("recorded", said), ("altered", said_of_wrong)):
        assert main([str(tmp_path / folder), "--out", str(tmp_path / "out")]) == 0
        assert f"Your program trains by adam as {answer}" in capsys.readouterr().out
