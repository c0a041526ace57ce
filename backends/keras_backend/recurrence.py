"""A recurrence over time with its derivative by hand: backpropagation through time.

TensorFlow can differentiate a `tf.while_loop`, but each backward step then adds up arrays as long
as the sequence, so that T steps cost T². Here the factors of the gates' errors, which depend on no
later step, are computed for all time steps at once, and so is the gradient of the recurrent kernel.

A cell is a pair of functions. `forward(a, b, U, real, activation) -> h, saved` maps the projected
inputs a `(T, R, B, GH)` to the states h `(T, R, B, H)`; b `(R, 1, H)` is the bias of the recurrent
side, or None. Its counterpart `backward(dh, saved, real, activation) -> da, db, dU` has the
formulas of `backends/numpy_backend/cells.py`. `real` `(T, R, B, 1)` is None or False at padding,
where the state stays as it was.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import tensorflow as tf

ops: Any = keras.ops  # Any: the declared types of its functions are too wide to check


class Cell(NamedTuple):
    """The two functions of a cell."""

    forward: Callable[..., Any]
    backward: Callable[..., Any]


def recurrence(cell: Cell, activation: str, real: Any) -> Callable[..., Any]:
    """Return the function `(a, b, U) -> h` of a cell, with its derivative; b may be None."""

    def run(a: Any, b: Any, U: Any) -> Any:
        @tf.custom_gradient
        def differentiable(a: Any, U: Any, *b: Any) -> tuple[Any, Callable]:
            h, saved = cell.forward(a, *(b or (None,)), U, real, activation)

            def gradients(dh: Any) -> tuple:
                da, db, dU = cell.backward(dh, saved, real, activation)
                return (da, dU) if db is None else (da, dU, db)

            return h, gradients

        return differentiable(a, U) if b is None else differentiable(a, U, b)

    return run


def over_time(
    step: Callable[..., Any],
    start: Any,
    inputs: Any,
    widths: tuple[int, ...],
    reverse: bool = False,
) -> list[Any]:
    """Return the outputs of `step(state, inputs) -> state, outputs` at all time steps.

    `inputs` are `(T, R, B, ·)`, or None; the outputs are as many as `widths`, `(T, R, B, width)`.
    """
    T, R, B, _ = tf.nest.flatten(inputs)[0].shape
    dtype = tf.nest.flatten(start)[0].dtype

    def body(n: Any, state: Any, outputs: Any) -> tuple:
        t = T - 1 - n if reverse else n
        now = tf.nest.map_structure(lambda a: None if a is None else a[t], inputs)
        state, new = step(state, now)
        return n + 1, state, [o.write(t, value) for o, value in zip(outputs, new, strict=True)]

    empty = [tf.TensorArray(dtype, T, element_shape=(R, B, width)) for width in widths]
    # XLA needs `maximum_iterations`.
    end = tf.while_loop(lambda n, *_: n < T, body, (0, start, empty), maximum_iterations=T)
    return [output.stack() for output in end[2]]


def dot(h: Any, U: Any) -> Any:
    """Multiply h `(R, B, H)` by U `(R, H, G)`: XLA is faster with a matrix than with a batch of
    one."""
    return ops.matmul(h[0], U[0])[None] if U.shape[0] == 1 else ops.matmul(h, U)


def where_real(real: Any, new: Any, old: Any) -> Any:
    """Return `new`, and `old` at padding."""
    return new if real is None else ops.where(real, new, old)


def pass_padding(carried: Any, error: Any, real: Any) -> Any:
    """Return the error of h_{t−1}: `carried`, plus the `error` of h_t where step t is padding."""
    return carried if real is None else carried + ops.where(real, 0, error)


def before(h: Any) -> Any:
    """Return the state before each time step: h `(T, R, B, H)` one step later, with zeros first."""
    return ops.concatenate([ops.zeros_like(h[:1]), h[:-1]])


def kernel_gradient(h: Any, error: Any) -> Any:
    """Return ∂L/∂U = Σ_t h_{t−1}ᵀ ∂L/∂(h_{t−1} U) as one product, where h_0 = 0 adds nothing."""
    return product_over_time(h[:-1], error[1:])


def product_over_time(x: Any, error: Any) -> Any:
    """Return Σ_t x_tᵀ error_t `(R, F, G)` of x `(T, R, B, F)` and error `(T, R, B, G)`."""
    x, error = by_replica(x), by_replica(error)
    if x.shape[0] == 1:
        return tf.matmul(x[0], error[0], transpose_a=True)[None]
    return tf.matmul(x, error, transpose_a=True)


def by_replica(array: Any) -> Any:
    """Reshape `(T, R, B, ·)` to `(R, T·B, ·)`."""
    T, R, B, width = array.shape
    if R == 1:  # nothing is transposed
        return ops.reshape(array, (1, T * B, width))
    return ops.reshape(ops.transpose(array, (1, 0, 2, 3)), (R, T * B, width))


def transposed(U: Any) -> Any:
    """Return Uᵀ `(R, G, H)`."""
    return ops.transpose(U, (0, 2, 1))


def zeros(a: Any, units: int) -> Any:
    """Return the state `(R, B, H)` before the first step."""
    return tf.zeros((*a.shape[1:3], units), a.dtype)


def sigmoid(a: Any) -> Any:
    """Compute σ(a) from tanh, which is faster in XLA than from exp."""
    return 0.5 * ops.tanh(0.5 * a) + 0.5
