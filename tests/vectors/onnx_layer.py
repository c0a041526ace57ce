"""A node of ONNX' RNN, LSTM or GRU as the standard defines it, computed by one of our layers.

A reverse direction is a layer over each sequence's real steps from the last to the first; of two
directions each is a layer of its own.
"""

import numpy as np

from backends import Array, Backend
from tests.vectors.layer import states

CELLS = {"RNN": "rnn", "LSTM": "lstm", "GRU": "gru"}
FROM_ONNX = {"RNN": [0], "LSTM": [0, 2, 3, 1], "GRU": [0, 1, 2]}  # ONNX has i, o, f, c


def node(
    backend: type[Backend],
    op: str,
    X: Array,
    W: Array,
    R: Array,
    B: Array | None = None,
    lengths: Array | None = None,
    direction: str = "forward",
    linear_before_reset: int = 0,
    gates: list[int] | None = None,
) -> Array:
    """Y `(T, D, N, U)` in ONNX' layout, 0 at padding; `gates` are others than the standard's."""
    X, W, R = (np.asarray(part) for part in (X, W, R))
    B = np.zeros((len(W), 2 * W.shape[1])) if B is None else np.asarray(B)
    T, N = X.shape[:2]
    counts = np.full(N, T) if lengths is None else np.asarray(lengths)
    order = FROM_ONNX[op] if gates is None else gates
    ways = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}[direction]
    reset = "after" if linear_before_reset else "before"
    mask = np.arange(T) < counts[:, None]  # (N, T)
    found = []
    for d, backwards in enumerate(ways):
        b = B[d].reshape(2, -1)
        weights = (reordered(W[d].T, order), reordered(R[d].T, order), reordered(b, order))
        x = turned(X.swapaxes(0, 1), counts) if backwards else X.swapaxes(0, 1)
        padded = None if mask.all() else mask
        y = states(backend, CELLS[op], weights, x, padded, reset=reset) * mask[..., None]
        found.append(turned(y, counts) if backwards else y)
    return np.stack(found).transpose(2, 0, 1, 3)


def reordered(array: Array, order: list[int]) -> Array:
    """The gates, side by side on the last axis, in another order."""
    return np.concatenate([np.split(array, len(order), axis=-1)[k] for k in order], axis=-1)


def turned(x: Array, counts: Array) -> Array:
    """Each sequence of `(N, T, ·)` from its last real step to its first; padding stays."""
    result = x.copy()
    for n, count in enumerate(counts):
        result[n, :count] = x[n, :count][::-1]
    return result
