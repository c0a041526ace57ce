"""The derivatives by hand of the recurrences in `keras.ops` are those that TensorFlow finds."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from backends.keras_backend.cells import CELLS
from backends.keras_backend.recurrence import Cell, recurrence
from harness.core.model import GATES

T, B, H = 5, 3, 4


def derivatives(cell: Cell, by_hand: bool, real: Any, activation: str, arrays: list) -> list:
    tensors: list[Any] = [None if array is None else tf.constant(array) for array in arrays]
    a, b, U, dh = tensors
    weights = [tensor for tensor in (a, b, U) if tensor is not None]
    with tf.GradientTape() as tape:
        tape.watch(weights)
        if by_hand:
            h: Any = recurrence(cell, activation, real)(a, b, U)
        else:
            h = cell.forward(a, b, U, real, activation)[0]
    return tape.gradient([h], weights, output_gradients=[dh])


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("name", CELLS)
def test_derivatives(name: str, masked: bool, replicas: int) -> None:
    rng, cell, R = np.random.default_rng(0), CELLS[name], replicas
    width = GATES[name[:4].strip()] * H
    shapes = ((T, R, B, width), (R, 1, H), (R, H, width), (T, R, B, H))
    arrays: list[Any] = [rng.normal(size=shape) for shape in shapes]
    if name != "gru after":  # no other cell has a bias of the recurrent side
        arrays[1] = None
    real = tf.constant(rng.random((T, R, B, 1)) < 0.6) if masked else None
    for activation in ("tanh", "relu") if name == "rnn" else ("tanh",):
        expected = derivatives(cell, False, real, activation, arrays)
        for found, by_tape in zip(
            derivatives(cell, True, real, activation, arrays), expected, strict=True
        ):
            np.testing.assert_allclose(found, by_tape, rtol=1e-12, atol=1e-14)
        if masked:
            unmasked = derivatives(cell, True, None, activation, arrays)
            assert not np.allclose(unmasked[0], expected[0])
