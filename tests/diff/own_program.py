"""A program of somebody else's: a network's outputs in float32, by code of its own.

It can make what mistakes there are in computing: other activations, axes, padding, rounding.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from harness.core.arrays import Array
from harness.formats.trained_network import Network

Function = Callable[[Array], Array]


def logistic(a: Array) -> Array:
    return 1 / (1 + np.exp(-a))


def hard(a: Array) -> Array:
    return np.minimum(np.maximum(a + 3, 0), 6) / 6


def hard_keras2(a: Array) -> Array:
    return np.minimum(np.maximum(a / 5 + 0.5, 0), 1)


def relu(a: Array) -> Array:
    return np.where(a > 0, a, 0)


@dataclass(frozen=True, kw_only=True)
class OwnProgram:
    network: Network
    activation: Function = np.tanh
    gate: Function = logistic
    reset: str = ""
    stored: type = np.float32  # of states between steps

    def outputs(self, x: Array) -> Array:
        """Outputs `(N, O)` after the last step of `x` `(N, T, F)`."""
        network = self.network
        h = ((x - network.x_mean) / network.x_std).astype(np.float32)
        for layer in range(network.model.layers):
            h = self._layer(h, layer)
        w = network.weights
        y = h[:, -1] @ w["head.kernel"] + w["head.bias"]
        return y * np.float32(network.y_std) + np.float32(network.y_mean)

    def _layer(self, x: Array, layer: int) -> Array:
        w = self.network.weights
        W, U, b = (w[f"rnn.{layer}.{n}"] for n in ("kernel", "recurrent_kernel", "bias"))
        if self.network.model.cell != "gru":
            b = b + w[f"rnn.{layer}.recurrent_bias"]
        h = c = np.zeros((len(x), len(U)), np.float32)
        states = []
        for t in range(x.shape[1]):
            step = self._step(x[:, t], h, c, (W, U, b))
            h, c = (state.astype(self.stored).astype(np.float32) for state in step)
            states.append(h)
        return np.stack(states, axis=1)

    def _step(
        self, x: Array, h: Array, c: Array, weights: tuple[Array, Array, Array]
    ) -> tuple[Array, Array]:
        W, U, b = weights
        cell, n = self.network.model.cell, len(U)
        if cell == "rnn":
            return self.activation(x @ W + h @ U + b), c
        if cell == "lstm":
            a = x @ W + h @ U + b
            i, f, g, o = (a[:, k * n : (k + 1) * n] for k in range(4))
            c = self.gate(f) * c + self.gate(i) * self.activation(g)
            return self.gate(o) * self.activation(c), c
        p, q = x @ W + b[0], h @ U + b[1]
        z, r = (self.gate(p[:, s] + q[:, s]) for s in (slice(0, n), slice(n, 2 * n)))
        of_state = r * q[:, 2 * n :]
        if (self.reset or self.network.model.reset) == "before":
            of_state = (r * h) @ U[:, 2 * n :] + b[1, 2 * n :]
        return z * h + (1 - z) * self.activation(p[:, 2 * n :] + of_state), c
