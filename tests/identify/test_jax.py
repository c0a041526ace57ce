"""The rules of plain flax and optax programs are found, which state no rules of their own."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen

from harness import recorder
from harness.core.errors import ConfigError
from harness.identify.__main__ import main
from tests.identify.hand_written import altered

rng = np.random.default_rng(0)
X = rng.normal(size=(20, 5, 2))
Y = X[:, :, 0].sum(1, keepdims=True)
RATE = 0.01
SCHEDULE = optax.exponential_decay(0.02, 4, 0.6)
CLIPPED = optax.chain(optax.clip_by_global_norm(0.5), optax.sgd(RATE, momentum=0.9, nesterov=True))
# Cell, optimiser, its rate, how the answer goes on, a change of the recording, the answer to that.
PROGRAMS: dict[str, tuple[str, Any, Any, str, dict[str, Any], str]] = {
    "adam": (
        "GRUCell",
        optax.adam(RATE),
        RATE,
        "adam as semantics=jax.",
        {"semantics__adam_eps": 1e-4},
        "adam as semantics=jax with adam_eps=0.0001.",
    ),
    "adamw": (
        "LSTMCell",
        optax.adamw(RATE, weight_decay=0.01),
        RATE,
        "adam as semantics=jax.",
        {"optimizer__weight_decay": 0.01, "semantics__weight_decay": "coupled"},
        "adam as semantics=jax with weight_decay=coupled.",
    ),
    "clipped": (
        "SimpleCell",
        CLIPPED,
        RATE,
        "sgd as semantics=jax, clipping at 0.5.",
        {"optimizer": "rmsprop"},
        "rmsprop as semantics=jax.",
    ),
    "schedule": (
        "LSTMCell",
        optax.chain(optax.clip_by_global_norm(2.0), optax.adamw(SCHEDULE)),
        SCHEDULE,
        "adam as semantics=jax, clipping at 2.",
        {"semantics__adam_eps": 1e-4, "semantics__adam_eps_place": "uncorrected"},
        "adam as semantics=keras with adam_eps=0.0001.",
    ),
}


class Network(linen.Module):
    cell: str
    dtype: str

    @linen.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        cell = getattr(linen, self.cell)(4, param_dtype=self.dtype)
        hidden: Any = linen.RNN(cell)(x)
        return linen.Dense(1, param_dtype=self.dtype)(hidden[:, -1])


def record(folder: Path, cell: str, optimizer: Any, precision: str, rate: Any = None) -> None:
    network = Network(cell, precision)
    x, y = X.astype(precision), Y.astype(precision)
    params: Any = network.init(jax.random.key(0), x[:1])["params"]
    opt_state = optimizer.init(params)

    def loss_of(params: Any, x: Any, y: Any) -> jax.Array:
        outputs: Any = network.apply({"params": params}, x)
        return jnp.mean((outputs - y) ** 2)

    @jax.jit
    def step(params: Any, opt_state: Any, x: Any, y: Any) -> Any:
        loss, gradients = jax.value_and_grad(loss_of)(params, x, y)
        updates, opt_state = optimizer.update(gradients, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    order = np.random.default_rng(1)
    with recorder.jax(folder, step, params=params, learning_rate=rate) as recorded:
        for _ in range(6):
            for rows in np.array_split(order.permutation(20), 3):
                params, opt_state, _ = recorded(params, opt_state, x[rows], y[rows])


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_plain_program_and_an_altered_recording_are_told_apart(
    name: str, precision: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cell, optimizer, rate, said, wrong, said_of_wrong = PROGRAMS[name]
    with jax.enable_x64(precision == "float64"):
        record(tmp_path / "recorded", cell, optimizer, precision, rate)
    altered(tmp_path / "recorded", tmp_path / "altered", **wrong)
    for folder, answer in (("recorded", said), ("altered", said_of_wrong)):
        assert main([str(tmp_path / folder), "--out", str(tmp_path / "out")]) == 0
        assert f"Your program trains by {answer}\n" in capsys.readouterr().out


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_a_training_by_no_known_rule_fits_none(precision: str, tmp_path: Path) -> None:
    with jax.enable_x64(precision == "float64"):
        record(tmp_path / "lion", "SimpleCell", optax.lion(RATE), precision)
    words = [str(tmp_path / "lion"), "--out", str(tmp_path / "out"), "--lr", str(RATE)]
    assert main(words) == 1
    assert main([*words[:3], "--lr", "0.02"]) == 1


def test_a_recording_without_rates_asks_for_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record(tmp_path / "recorded", "SimpleCell", CLIPPED, "float32")
    assert main([str(tmp_path / "recorded"), "--out", str(tmp_path / "out")]) == 2
    assert "--lr: say the learning rate" in capsys.readouterr().err


@pytest.mark.parametrize("rate", ["fast", float("nan"), {}])
def test_a_rate_that_is_none_is_refused(rate: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"learning_rate=.*a number, or a schedule"):
        recorder.jax(tmp_path / "r", lambda *_: None, params={}, learning_rate=rate)
