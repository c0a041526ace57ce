"""Flax as most code has it: a `linen` module, a `TrainState`, and a jitted step in a loop."""

from typing import Any

import flax.linen as nn
import jax
import numpy as np
import optax
from flax.training.train_state import TrainState

from benchmarks.by_hand.data import samples
from benchmarks.common.cases import OUTPUTS, Case
from benchmarks.common.timing import Epoch

CELLS = {"rnn": nn.SimpleCell, "lstm": nn.OptimizedLSTMCell, "gru": nn.GRUCell}


class Network(nn.Module):
    """A recurrent layer and a dense head."""

    cell: str
    units: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map `(B, T, F)` to `(B, O)`."""
        h: Any = nn.RNN(CELLS[self.cell](self.units))(x)
        return nn.Dense(OUTPUTS)(h[:, -1])


@jax.jit
def step(state: TrainState, x: jax.Array, y: jax.Array) -> tuple[TrainState, jax.Array]:
    """Do one update; return the new state and the loss before it."""

    def batch_loss(params: dict) -> jax.Array:
        return optax.squared_error(state.apply_fn(params, x), y).mean()

    loss, gradient = jax.value_and_grad(batch_loss)(state.params)
    return state.apply_gradients(grads=gradient), loss


def build(case: Case) -> Epoch:
    """Return an epoch of the Flax linen loop."""
    x, y = samples(case)
    network = Network(case.cell, case.units)
    params = network.init(jax.random.key(0), x[: case.batch])
    state = TrainState.create(apply_fn=network.apply, params=params, tx=optax.adam(1e-3))
    rng = np.random.default_rng(0)

    def epoch() -> None:
        nonlocal state
        losses = []
        for rows in rng.permutation(len(x)).reshape(-1, case.batch):
            state, loss = step(state, x[rows], y[rows])
            losses.append(loss)
        np.mean(jax.device_get(losses))

    return epoch
