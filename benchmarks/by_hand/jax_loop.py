"""Plain JAX with optax: the cells' equations under `lax.scan`, and a jitted step in a loop."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jax.nn import sigmoid

from benchmarks.by_hand.data import samples
from benchmarks.common.cases import FEATURES, OUTPUTS, Case
from benchmarks.common.timing import Epoch
from harness.core.model import GATES

Params = dict[str, jax.Array]


def rnn(p: Params, carry: jax.Array, x: jax.Array) -> tuple[jax.Array, None]:
    """Simple cell: one time step from x `(B, F)`, as `lax.scan` calls it."""
    return jnp.tanh(x @ p["W"] + carry @ p["U"] + p["b"]), None


def lstm(p: Params, carry: tuple, x: jax.Array) -> tuple[tuple, None]:
    """LSTM: one time step from x `(B, F)`."""
    h, c = carry
    i, f, g, o = jnp.split(x @ p["W"] + h @ p["U"] + p["b"], 4, axis=-1)
    c = sigmoid(f) * c + sigmoid(i) * jnp.tanh(g)
    return (sigmoid(o) * jnp.tanh(c), c), None


def gru(p: Params, carry: jax.Array, x: jax.Array) -> tuple[jax.Array, None]:
    """GRU with the reset after the product: one time step from x `(B, F)`."""
    xz, xr, xn = jnp.split(x @ p["W"] + p["b"], 3, axis=-1)
    hz, hr, hn = jnp.split(carry @ p["U"] + p["b_hidden"], 3, axis=-1)
    z, r = sigmoid(xz + hz), sigmoid(xr + hr)
    return z * carry + (1 - z) * jnp.tanh(xn + r * hn), None


CELLS = {"rnn": rnn, "lstm": lstm, "gru": gru}


def initial(case: Case) -> Params:
    """Return weights from Glorot & Bengio's uniform distribution (2010), and biases of 0."""
    draw = jax.nn.initializers.glorot_uniform()
    gates = GATES[case.cell] * case.units
    keys = jax.random.split(jax.random.key(0), 3)
    return {
        "W": draw(keys[0], (FEATURES, gates)),
        "U": draw(keys[1], (case.units, gates)),
        "b": jnp.zeros(gates),
        "V": draw(keys[2], (case.units, OUTPUTS)),
        "c": jnp.zeros(OUTPUTS),
    } | ({"b_hidden": jnp.zeros(gates)} if case.cell == "gru" else {})


def build(case: Case) -> Epoch:
    """Return an epoch of the JAX loop."""
    x, y = samples(case)
    params = initial(case)
    optimizer = optax.adam(1e-3)
    memory = optimizer.init(params)

    def batch_loss(params: Params, x: jax.Array, y: jax.Array) -> jax.Array:
        h = jnp.zeros((len(x), case.units))
        start: Any = (h, h) if case.cell == "lstm" else h
        cell = CELLS[case.cell]
        end, _ = lax.scan(lambda carry, x_t: cell(params, carry, x_t), start, x.swapaxes(0, 1))
        last = end[0] if case.cell == "lstm" else end
        return jnp.mean((last @ params["V"] + params["c"] - y) ** 2)

    @jax.jit
    def step(params: Params, memory: optax.OptState, x: jax.Array, y: jax.Array) -> tuple:
        loss, gradient = jax.value_and_grad(batch_loss)(params, x, y)
        updates, memory = optimizer.update(gradient, memory, params)
        return optax.apply_updates(params, updates), memory, loss

    rng = np.random.default_rng(0)

    def epoch() -> None:
        nonlocal params, memory
        losses = []
        for rows in rng.permutation(len(x)).reshape(-1, case.batch):
            params, memory, loss = step(params, memory, x[rows], y[rows])
            losses.append(loss)
        np.mean(jax.device_get(losses))
        jax.block_until_ready((params, memory))

    return epoch
