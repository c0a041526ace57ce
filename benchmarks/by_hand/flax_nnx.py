"""Flax as its documentation now teaches it: an `nnx` module and optimiser, and a jitted step."""

from typing import Any

import jax
import numpy as np
import optax
from flax import nnx

from benchmarks.by_hand.data import samples
from benchmarks.common.cases import FEATURES, OUTPUTS, Case
from benchmarks.common.timing import Epoch

Array = jax.Array | np.ndarray

CELLS = {"rnn": nnx.SimpleCell, "lstm": nnx.OptimizedLSTMCell, "gru": nnx.GRUCell}


class Network(nnx.Module):
    """A recurrent layer and a dense head."""

    def __init__(self, cell: str, units: int, rngs: nnx.Rngs) -> None:
        self.rnn = nnx.RNN(CELLS[cell](FEATURES, units, rngs=rngs))
        self.head = nnx.Linear(units, OUTPUTS, rngs=rngs)

    def __call__(self, x: Array) -> jax.Array:
        """Map `(B, T, F)` to `(B, O)`."""
        rnn: Any = self.rnn
        h = rnn(x)
        return self.head(h[:, -1])


@nnx.jit
def step(network: Network, optimizer: nnx.Optimizer, x: Array, y: Array) -> jax.Array:
    """Do one update in place; return the loss before it."""

    def batch_loss(network: Network) -> jax.Array:
        return optax.squared_error(network(x), y).mean()

    loss, gradient = nnx.value_and_grad(batch_loss)(network)
    optimizer.update(network, gradient)
    return loss


def build(case: Case) -> Epoch:
    """Return an epoch of the Flax nnx loop."""
    x, y = samples(case)
    network = Network(case.cell, case.units, nnx.Rngs(0))
    optimizer = nnx.Optimizer(network, optax.adam(1e-3), wrt=nnx.Param)
    rng = np.random.default_rng(0)

    def epoch() -> None:
        losses = []
        for rows in rng.permutation(len(x)).reshape(-1, case.batch):
            losses.append(step(network, optimizer, x[rows], y[rows]))
        np.mean(jax.device_get(losses))

    return epoch
