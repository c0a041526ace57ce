"""Functions that the cells share: projections of all time steps, the logistic function, padding.

Symbols, shapes and masks are those of `cells.py`.
"""

import numpy as np

from harness.core.arrays import Array

Weights = tuple[Array, Array, Array]  # W (R, F, GH), U (R, H, GH), b (R, GH); GRU: b (R, 2, 3H)
Mask = Array | None


class Workspace:
    """The arrays of a layer, which serve again in the next step of training.

    To fill new memory of their size costs more than to compute on old: with 128 units, page faults
    were a third of a step.
    """

    def __init__(self) -> None:
        self._arrays: dict[tuple[str, tuple[int, ...]], Array] = {}

    def array(self, name: str, shape: tuple[int, ...], dtype: np.dtype) -> Array:
        """Return the array of that name and shape; what is in it has no meaning."""
        if (name, shape) not in self._arrays:
            self._arrays[name, shape] = np.empty(shape, dtype)
        return self._arrays[name, shape]


def sigmoid(a: Array, out: Array) -> None:
    """Compute σ(a) = 1 / (1 + e⁻ᵃ) as (1 + tanh(a/2)) / 2, which cannot overflow."""
    np.multiply(a, 0.5, out=out)
    np.tanh(out, out=out)
    out *= 0.5
    out += 0.5


def keep_state(h: Array, t: int, mask: Mask) -> None:
    """Replace h_t by h_{t−1} in `h` `(R, T, B, H)` where step t is padding."""
    if mask is not None:
        h[:, t] *= mask[:, t]
        if t:
            h[:, t] += (1 - mask[:, t]) * h[:, t - 1]


def pass_padding(carried: Array, error: Array, t: int, mask: Mask) -> Array:
    """Return the error of h_{t−1}: `carried`, plus the `error` of h_t where step t is padding."""
    if mask is not None:
        carried += (1 - mask[:, t]) * error
    return carried


def project(x: Array, W: Array, b: Array, work: Workspace) -> tuple[Array, Array]:
    """Compute x_t W + b for all steps at once: `(R, T, B, F)` -> `(R, T, B, GH)`, and [x 1].

    It is one product [x 1] [W; b]: NumPy multiplies matrices of inner size 1, such as those of one
    feature, ten times slower than of size 2.
    """
    R, T, B, F = x.shape
    x_1 = work.array("x_1", (R, T * B, F + 1), x.dtype)
    x_1[..., :F], x_1[..., F] = x.reshape(R, T * B, F), 1
    W_b = np.concatenate([W, b[:, None]], axis=1)
    a = work.array("a", (len(W), T * B, W.shape[2]), W.dtype)
    np.matmul(x_1, W_b, out=a)
    return a.reshape(len(a), T, B, -1), x_1


def project_backward(x_1: Array, da: Array) -> tuple[Array, Array]:
    """Return ∂L/∂W and ∂L/∂b of `project`, summed over steps and samples."""
    R, T, B, _ = da.shape
    d_both = x_1.swapaxes(1, 2) @ da.reshape(R, T * B, -1)  # (R, F + 1, GH)
    return d_both[:, :-1], d_both[:, -1]


def recurrent_backward(h: Array, da: Array) -> Array:
    """Return ∂L/∂U = Σ_t h_{t−1}ᵀ da_t, where h_0 = 0 adds nothing: `(R, H, GH)`."""
    R, T, B, H = h.shape
    before = h[:, :-1].reshape(R, (T - 1) * B, H)
    return before.swapaxes(1, 2) @ da[:, 1:].reshape(R, (T - 1) * B, da.shape[-1])


def transposed(U: Array) -> Array:
    """Return a contiguous copy of Uᵀ: each time step multiplies with it."""
    return np.ascontiguousarray(U.swapaxes(1, 2))
