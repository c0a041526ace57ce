"""The loop over time and its backward loop, written by hand around TensorFlow's derivatives.

TensorFlow can differentiate a `tf.while_loop`, but each backward step then adds up arrays as long
as the sequence, so that T steps cost T². Here a backward step is TensorFlow's derivative of one
time step, and the loop passes errors from step to step by hand, through the product h_{t−1} U. That
product is outside the step, and ∂L/∂U is one product over all time steps at the end.

T time steps, R replicas, B samples, H units.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

Tensors = tuple[Any, ...]
# `step(t, now, state, inner)` -> the next state, a time step. `now` are its inputs, the last with
# the product h_{t−1} U added; `inner` are weights that the step itself multiplies with.
Step = Callable[[Any, Tensors, Tensors, Tensors], Tensors]


def over_time(step: Step, inputs: Tensors, start: Tensors, U: Any, inner: Tensors) -> Any:
    """Return h of every time step `(T, R, B, H)`.

    `inputs` are `(T, R, B, ·)` each; `start` is the first state, a tuple with h `(R, B, H)` first;
    U is `(R, H, ·)`, as wide as the last of the inputs; `inner` is `(R, …)` each.
    """

    @tf.custom_gradient
    def run(inputs: Tensors, U: Any, inner: Tensors) -> tuple[Any, Callable]:
        h, now, before = forward(step, inputs, start, U, inner)

        def back(dh: Any) -> tuple:
            errors, d_inner = backward(step, now, before, U, inner, dh)
            return errors, by_replica(before[0], swap=True) @ by_replica(errors[-1]), d_inner

        return h, back

    return run(inputs, U, inner)


def forward(
    step: Step, inputs: Tensors, start: Tensors, U: Any, inner: Tensors
) -> tuple[Any, Tensors, Tensors]:
    """Return h of every step, and for `backward` each step's inputs and the state before it.

    The last of these inputs has the product h_{t−1} U added.
    """

    def one_step(t: Any, state: Tensors, last: Any, before: Tensors) -> tuple:
        now = (*(a[t] for a in inputs[:-1]), inputs[-1][t] + state[0] @ U)
        before = tuple(b.write(t, part) for b, part in zip(before, state, strict=True))
        return t + 1, step(t, now, state, inner), last.write(t, now[-1]), before

    T = inputs[0].shape[0]
    empty = (room_for(inputs[-1][0], T), tuple(room_for(part, T) for part in start))
    _, end, last, before = loop(T, one_step, (0, start, *empty))
    states = tuple(b.stack() for b in before)
    h = tf.concat([states[0][1:], end[0][None]], 0)
    return h, (*inputs[:-1], last.stack()), states


def backward(
    step: Step, now: Tensors, before: Tensors, U: Any, inner: Tensors, dh: Any
) -> tuple[Tensors, Tensors]:
    """Return the inputs' errors `(T, R, B, ·)`, and those of `inner`, summed over the steps."""
    T, UT = dh.shape[0], tf.transpose(U, (0, 2, 1))

    def one_step(n: Any, carried: Tensors, d_inner: Tensors, errors: Tensors) -> tuple:
        t = T - 1 - n
        seen, state = (tuple(a[t] for a in parts) for parts in (now, before))
        with tf.GradientTape() as tape:
            tape.watch((seen, state, inner))
            after = step(t, seen, state, inner)
        d_after = (carried[0] + dh[t], *carried[1:])
        derivative: Any = tape.gradient  # Any: its declared type accepts lists only
        d_seen, d_state, d_weights = derivative(
            after, (seen, state, inner), d_after, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        carried = (d_state[0] + d_seen[-1] @ UT, *d_state[1:])
        d_inner = tuple(sum(pair) for pair in zip(d_inner, d_weights, strict=True))
        errors = tuple(e.write(t, d) for e, d in zip(errors, d_seen, strict=True))
        return n + 1, carried, d_inner, errors

    zeros = tuple(tf.zeros_like(a[0]) for a in before), tuple(tf.zeros_like(w) for w in inner)
    _, _, d_inner, errors = loop(T, one_step, (0, *zeros, tuple(room_for(a[0], T) for a in now)))
    return tuple(e.stack() for e in errors), d_inner


def loop(T: int, body: Callable[..., tuple], start: tuple) -> tuple:
    """Run `body` T times, with `maximum_iterations`, which XLA needs."""
    return tf.while_loop(lambda n, *_: n < T, body, start, maximum_iterations=T)


def room_for(example: Any, T: int) -> Any:
    """Return a tensor array for T tensors like `example`."""
    return tf.TensorArray(example.dtype, T, element_shape=example.shape)


def by_replica(array: Any, swap: bool = False) -> Any:
    """Reshape `(T, R, B, ·)` to `(R, T·B, ·)`, or with `swap` to `(R, ·, T·B)`."""
    T, R, B, width = array.shape
    if swap:
        return tf.reshape(tf.transpose(array, (1, 3, 0, 2)), (R, width, T * B))
    return tf.reshape(tf.transpose(array, (1, 0, 2, 3)), (R, T * B, width))
