"""The network: recurrent layers and head, forward and backward, on canonical weights `(R, …)`.

BPTT of a layer is in `cells.py`. R replicas, T time steps, B samples, F inputs, H units, O outputs.
"""

from typing import Any

import numpy as np

from backends.numpy_backend.cells import CELLS
from backends.numpy_backend.recurrence import Workspace
from harness.core.arrays import Array
from harness.core.model import ModelSpec, Params


class Network:
    """The network with the weights `params`, which an update changes in place.

    `backward` writes to `gradients`. What `forward` returns holds until it is called again.
    """

    def __init__(self, model: ModelSpec, params: Params, gradients: Params) -> None:
        self.model, self.params, self.gradients = model, params, gradients
        cell = f"gru {model.reset}" if model.cell == "gru" else model.cell
        self.cell_forward, self.cell_backward = CELLS[cell]
        self.work = [Workspace() for _ in range(model.layers)]

    def weights(self, layer: int) -> tuple[Array, Array, Array]:
        """Return W, U and the effective bias: `(R, GH)`, or the GRU's two rows `(R, 2, 3H)`."""
        names = ("kernel", "recurrent_kernel", "bias", "recurrent_bias")
        W, U, b, second = (self.params.get(f"rnn.{layer}.{name}") for name in names)
        assert W is not None
        assert U is not None
        assert b is not None
        if self.model.cell != "gru":
            return W, U, b if second is None else b + second
        if self.model.biases != "double":
            b = np.stack([b, np.zeros_like(b)], axis=1)
            if second is not None:
                b[:, 1, -self.model.units :] = second
        return W, U, b

    def bias_gradients(self, layer: int, db: Array) -> None:
        """Write the gradients of the trained biases, from `db`, that of the effective bias."""
        first = self.gradients[f"rnn.{layer}.bias"]
        second = self.gradients.get(f"rnn.{layer}.recurrent_bias")
        if self.model.cell != "gru":  # the biases are added: each gets the whole gradient
            first[...] = db
            if second is not None:
                second[...] = db
            return
        first[...] = db if self.model.biases == "double" else db[:, 0]
        if second is not None:  # of the candidate alone
            second[...] = db[:, 1, -self.model.units :]

    def forward(self, x: Array, mask: Array | None) -> tuple[Array, list[Any]]:
        """Return outputs `(R, B, O)` or `(R, T, B, O)` of `x` `(R, B, T, F)`, and their caches."""
        caches: list[Any] = []
        h, real = np.ascontiguousarray(x.swapaxes(1, 2)), over_time(mask)
        for layer in range(self.model.layers):
            rules = (real, self.model.activation, self.work[layer])
            h, cache = self.cell_forward(h, self.weights(layer), *rules)
            caches.append(cache)
        seen = h if self.model.every_step else h[:, -1]
        caches.append((h, seen))
        if self.model.head == "none":
            return seen, caches
        V, b = self.params["head.kernel"], self.params["head.bias"]
        if self.model.every_step:
            V, b = V[:, None], b[:, None]
        return seen @ V + b[..., None, :], caches

    def backward(self, d_outputs: Array, caches: list[Any]) -> None:
        """Write the gradient of every weight to `gradients`, from ∂L/∂outputs."""
        h, seen = caches.pop()
        d_seen = d_outputs
        if self.model.head == "dense":
            R, U, O = len(seen), seen.shape[-1], d_outputs.shape[-1]
            flat = d_outputs.reshape(R, -1, O)  # steps and samples in one axis
            flat_seen = seen.reshape(R, -1, U)
            np.matmul(flat_seen.swapaxes(1, 2), flat, out=self.gradients["head.kernel"])
            flat.sum(axis=1, out=self.gradients["head.bias"])
            d_flat = flat @ self.params["head.kernel"].swapaxes(1, 2)
            d_seen = d_flat.reshape(*d_outputs.shape[:-1], U)
        if self.model.every_step:
            dh = d_seen
        else:
            dh = self.work[-1].array("dh", h.shape, h.dtype)
            dh[:, :-1], dh[:, -1] = 0, d_seen
        for layer in reversed(range(self.model.layers)):
            da, (dW, dU, db) = self.cell_backward(dh, caches[layer], self.work[layer])
            if layer:  # no gradient with respect to the data is needed
                W = self.params[f"rnn.{layer}.kernel"]
                dh = (da.reshape(len(da), -1, da.shape[-1]) @ W.swapaxes(1, 2)).reshape(dh.shape)
            self.gradients[f"rnn.{layer}.kernel"][...] = dW
            self.gradients[f"rnn.{layer}.recurrent_kernel"][...] = dU
            self.bias_gradients(layer, db)


def over_time(mask: Array | None) -> Array | None:
    """Transpose a mask `(R, B, T)` to `(R, T, B, 1)`, as the cells take it."""
    return None if mask is None else mask.swapaxes(1, 2)[..., None]
