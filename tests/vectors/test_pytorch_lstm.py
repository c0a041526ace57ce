"""PyTorch's values of a plain LSTM: pytorch/pytorch, test/cpp/api/rnn.cpp, test case
`CheckOutputValuesMatchPyTorch`, printed to four digits.

Each weight array holds 0, 1/size, 2/size, … in PyTorch's own layout (gates i, f, g, o, transposed),
the inputs 1, 1 − 1/24, …, so gates, rows and columns that are exchanged show. What it cannot see:
gradients, several layers, lengths, and the cell state, which a backend does not give.
"""

import numpy as np

from backends import Array, Backend
from backends.numpy_backend import NumpyBackend
from tests.vectors.layer import FOUR_DIGITS, states

OUTPUT = [  # (T, N, U) = (3, 4, 2)
    [[0.4391, 0.5402], [0.4330, 0.5324], [0.4261, 0.5239], [0.4183, 0.5147]],
    [[0.6822, 0.8064], [0.6726, 0.7968], [0.6620, 0.7860], [0.6501, 0.7741]],
    [[0.7889, 0.9003], [0.7769, 0.8905], [0.7635, 0.8794], [0.7484, 0.8666]],
]


def rising(*shape: int) -> Array:
    size = np.prod(shape)
    return (np.arange(size) / size).reshape(shape)


def error(backend: type[Backend], gates: list[int]) -> float:
    parts = rising(8, 2).T, rising(8, 2).T, np.stack([rising(8), rising(8)])
    W, U, b = (np.concatenate([np.split(p, 4, -1)[k] for k in gates], -1) for p in parts)
    x = (1 - rising(3, 4, 2)).swapaxes(0, 1)
    ours = states(backend, "lstm", (W, U, b), x)
    return float(np.abs(ours - np.swapaxes(OUTPUT, 0, 1)).max())


def test_every_backend_repeats_it(backend: type[Backend]) -> None:
    assert error(backend, [0, 1, 2, 3]) < FOUR_DIGITS


def test_exchanged_gates_show() -> None:
    for gates in ([1, 0, 2, 3], [0, 2, 1, 3], [0, 1, 3, 2]):
        assert error(NumpyBackend, gates) > 100 * FOUR_DIGITS
