"""The recorder of JAX around a step as users write it."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from harness import recorder
from harness.core.errors import ConfigError
from harness.recorder.recording import Recording, read_recording
from tests.recorder import by_hand

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(10, 3, 2)), rng.normal(size=(10, 1))
RATE = 0.05
optimizer = optax.sgd(RATE)


@pytest.fixture(autouse=True)
def double() -> Any:
    with jax.enable_x64(True):
        yield


def loss_of(params: Any, x: jax.Array, y: jax.Array) -> jax.Array:
    predicted = x.reshape(len(x), -1) @ params["head"]["kernel"] + params["head"]["bias"]
    return jnp.mean((predicted - y) ** 2)


@jax.jit
def plain_step(params: Any, opt_state: Any, x: jax.Array, y: jax.Array) -> Any:
    loss, gradients = jax.value_and_grad(loss_of)(params, x, y)
    updates, opt_state = optimizer.update(gradients, opt_state)
    return optax.apply_updates(params, updates), opt_state, loss


def initial() -> Any:
    drawn = np.random.default_rng(1)
    return {"head": {"kernel": jnp.array(drawn.normal(size=(6, 1))), "bias": jnp.zeros(1)}}


def train(step: Any, params: Any, steps: int = 6) -> Any:
    opt_state = optimizer.init(params)
    order = np.random.default_rng(2)
    for _ in range(steps // 3):
        for rows in np.array_split(order.permutation(10), [4, 8]):
            params, opt_state, _ = step(params, opt_state, X[rows], Y[rows])
    return params


def hand_losses(recording: Recording) -> np.ndarray:
    weights = recording.initial
    return by_hand.losses(recording, weights["head/kernel"], weights["head/bias"], RATE)


def test_losses_and_order_are_those_of_a_training_by_hand(tmp_path: Path) -> None:
    params = initial()
    rules = {"optimizer": "optax.sgd(0.05)"}
    with recorder.jax(tmp_path, plain_step, params=params, stated=rules) as step:
        recorded = train(step, params)
    without = train(plain_step, params)
    assert all(map(np.array_equal, jax.tree.leaves(recorded), jax.tree.leaves(without)))
    recording = read_recording(tmp_path)
    by_hand.agree(recording, hand_losses(recording))
    order = [np.flatnonzero((row == X).all((1, 2))).item() for row in recording.data["x"]]
    assert sorted(order) == list(range(10))
    assert np.array_equal(recording.data["y"], Y[order])
    assert recording.stated["optimizer"] == "optax.sgd(0.05)"
    assert recording.notes == []
    assert recording.batches is not None
    wrong = replace(recording, batches=np.roll(recording.batches, 1, axis=0))
    by_hand.disagree(recording, hand_losses(wrong))


def test_rates_are_those_of_a_number_or_of_a_schedule(tmp_path: Path) -> None:
    schedule = optax.exponential_decay(0.1, 2, 0.5)
    for name, rate in (("number", 0.05), ("schedule", schedule), ("none", None)):
        with recorder.jax(tmp_path / name, plain_step, params=initial(), learning_rate=rate) as s:
            train(s, initial())
    number, decayed, none = (
        read_recording(tmp_path / name).learning_rates for name in ("number", "schedule", "none")
    )
    assert none is None
    assert number is not None
    assert decayed is not None
    assert number.tolist() == [[0.05]] * 6
    exact = 0.1 * 0.5 ** (np.arange(6) / 2)
    np.testing.assert_allclose(decayed[:, 0], exact, rtol=1e-6)  # optax divides counts in float32


def test_other_positions_are_taken_by_name(tmp_path: Path) -> None:
    def step(x: Any, y: Any, state: Any) -> Any:
        params, opt_state, loss = plain_step(*state, x, y)
        return loss, (params, opt_state)

    params = initial()
    state: Any = (params, optimizer.init(params))
    names: Any = {"takes": ("x", "y", "state"), "returns": ("loss", "state")}
    with recorder.jax(tmp_path, step, params=params, **names) as recorded:
        for rows in ([0, 1, 2], [5, 6]):
            _, state = recorded(X[rows], y=Y[rows], state=state)
    recording = read_recording(tmp_path)
    assert recording.batches is not None
    assert recording.batches.tolist() == [[0, 1, 2], [3, 4, -1]]
    by_hand.agree(recording, hand_losses(recording))


def test_names_without_x_or_loss_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="takes must have x"):
        recorder.jax(tmp_path, plain_step, params={}, takes=("a", "b"))
    assert not list(tmp_path.iterdir())


def test_a_step_inside_jit_is_noted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    params = initial()
    step = recorder.jax(tmp_path, plain_step, params=params, stated={"optimizer": "sgd"})
    jax.jit(step)(params, optimizer.init(params), X, Y)
    step.close()
    assert "inside jit or scan" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="steps=0"):
        read_recording(tmp_path)


PROGRAM = """
import jax.numpy as jnp
from harness import recorder
step = recorder.jax({folder!r}, lambda w, x: (w - x.mean(), x.sum()), params=jnp.ones(2),
                    takes=("params", "x"), returns=("params", "loss"))
w = jnp.ones(2)
for n in range(5):
    w, loss = step(w, jnp.full((3, 2), float(n)))
    if n == 2:
        raise RuntimeError("the program fails")
"""


@pytest.mark.slow
def test_a_program_that_fails_leaves_the_steps_done(tmp_path: Path) -> None:
    program = PROGRAM.format(folder=str(tmp_path / "recorded"))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 1
    assert "the program fails" in done.stderr
    recording = read_recording(tmp_path / "recorded")
    assert recording.losses is not None
    assert recording.losses.tolist() == [0, 6, 12]
    assert recording.batches is not None
    assert recording.batches.tolist() == [[0] * 3, [1] * 3, [2] * 3]  # equal samples are one
