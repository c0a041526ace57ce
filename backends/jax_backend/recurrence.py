"""A recurrence over time with its derivative by hand: backpropagation through time.

JAX's own derivative of `lax.scan` keeps and recomputes more than is needed. Here the factors of the
gates' errors, which depend on no later step, are computed for all time steps at once, and so is the
gradient of the recurrent kernel.

A cell is a pair of functions. `forward(a, b, U, real, rules) -> h, saved` maps the projected inputs
a `(T, B, GH)` to the states h `(T, B, H)`; b `(H,)` is the bias of the recurrent side, or None. Its
counterpart `backward(dh, saved, real, rules) -> da, db, dU` has the formulas of
`backends/numpy_backend/cells.py`. `real` `(T, B, 1)` is None or False at padding, where the state
stays as it was.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

Array = jax.Array


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What a cell is told besides its arrays."""

    precision: str  # of products: "highest" or "tensorfloat32"
    activation: str  # "tanh" or "relu"
    unrolled: bool  # all time steps written out in the program

    def dot(self, a: Array, b: Array) -> Array:
        """Multiply two matrices."""
        return jnp.matmul(a, b, precision=self.precision)


class Cell(NamedTuple):
    """The two functions of a cell."""

    forward: Callable[..., Any]
    backward: Callable[..., Any]


def recurrence(cell: Cell, rules: Rules) -> Callable[..., Array]:
    """Return the function `(a, b, U, real) -> h` of a cell, with its derivative."""

    def run(a: Array, b: Array | None, U: Array, real: Array | None) -> Array:
        return cell.forward(a, b, U, real, rules)[0]

    def forward(a: Array, b: Array | None, U: Array, real: Array | None) -> tuple[Array, Any]:
        h, saved = cell.forward(a, b, U, real, rules)
        return h, (saved, real)

    def backward(residuals: Any, dh: Array) -> tuple:
        saved, real = residuals
        return *cell.backward(dh, saved, real, rules), None

    function = jax.custom_vjp(run)
    function.defvjp(forward, backward)
    return function


def over_time(
    step: Callable[..., Any], start: Any, inputs: Any, rules: Rules, reverse: bool = False
) -> Any:
    """Return the outputs of `step(state, inputs) -> state, outputs` at all time steps."""
    return lax.scan(step, start, inputs, unroll=rules.unrolled, reverse=reverse)[1]


def zeros(a: Array, U: Array) -> Array:
    """Return the state `(B, H)` before the first step."""
    return jnp.zeros((a.shape[1], U.shape[0]), a.dtype)


def where_real(real: Array | None, new: Array, old: Array | float) -> Array:
    """Return `new`, and `old` at padding."""
    return new if real is None else jnp.where(real, new, old)


def before(h: Array) -> Array:
    """Return the state before each time step: h `(T, B, H)` one step later, with zeros first."""
    return jnp.concatenate([jnp.zeros_like(h[:1]), h[:-1]])


def kernel_gradient(h: Array, error: Array, rules: Rules) -> Array:
    """Return ∂L/∂U = Σ_t h_{t−1}ᵀ ∂L/∂(h_{t−1} U) as one product, where h_0 = 0 adds nothing."""
    flat, errors = (a.reshape(-1, a.shape[-1]) for a in (h[:-1], error[1:]))
    return rules.dot(flat.T, errors)


def sigmoid(a: Array) -> Array:
    """Compute σ(a) from tanh, which is faster in XLA than from exp."""
    return 0.5 * jnp.tanh(0.5 * a) + 0.5
