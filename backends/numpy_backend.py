"""The reference: forward, backpropagation through time and updates in plain NumPy.

Read `numpy_cells.py` for BPTT and `numpy_optimizers.py` for the update rules; this file strings
them together: recurrent layers, head, loss, clipping, update. Replicas are a leading axis of every
array, so R runs cost R times the arithmetic but one time the overhead of Python.
"""

from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from backends import Data, State, TrainingSpec
from backends.numpy_cells import BACKWARD, FORWARD, sigmoid
from backends.numpy_optimizers import UPDATE, clip
from harness.model import ModelSpec, Params, shapes

Array = np.ndarray

# As in the other backends, a diverging run shows in its loss; the trainer says so, once.
QUIETLY = np.errstate(over="ignore", invalid="ignore", divide="ignore")


class NumpyBackend:
    """See `backends.Backend`."""

    device = "cpu"

    def __init__(self, model: ModelSpec, training: TrainingSpec, data: Data, state: State) -> None:
        threadpool_limits(training.threads, user_api="blas")
        dtype = np.dtype(training.precision)
        self.model, self.training = model, training
        self.data = Data(data.x.astype(dtype, copy=False), data.y.astype(dtype, copy=False))
        self.params = {n: state.params[n].astype(dtype) for n in shapes(model)}  # astype copies
        self.slots = {
            slot: {n: values[n].astype(dtype) for n in self.params}
            for slot, values in state.slots.items()
        }
        self.step = state.step
        self.numbers = training.numbers | {"nesterov": np.array([float(training.nesterov)])}

    @QUIETLY
    def train_epoch(self, batches: Array, lr: Array) -> Array:
        losses = np.empty(lr.shape)
        for s, rows in enumerate(batches):
            x, y = self._rows(self.data.x, rows), self._rows(self.data.y, rows)
            outputs, caches = self._forward(x.swapaxes(1, 2))
            if self.model.every_step:
                y = y.swapaxes(1, 2)  # (R, T, B, O), as the outputs are
            losses[s], d_outputs = loss_and_gradient(self.training.loss, outputs, y)
            self._update(self._backward(d_outputs, caches), lr[s])
        return losses

    @QUIETLY
    def predict(self, x: Array) -> Array:
        outputs, _ = self._forward(x.astype(self.training.precision).swapaxes(1, 2))
        return outputs.swapaxes(1, 2) if self.model.every_step else outputs

    def state(self) -> State:
        slots = {
            slot: {n: v.copy() for n, v in values.items()} for slot, values in self.slots.items()
        }
        return State({n: p.copy() for n, p in self.params.items()}, slots, self.step)

    @staticmethod
    def _rows(array: Array, rows: Array) -> Array:
        """Each replica's samples `rows` `(R, B)` from `(R, N, …)`, or from `(1, N, …)` shared."""
        return array[0][rows] if len(array) == 1 else array[np.arange(len(array))[:, None], rows]

    def _weights(self, layer: int) -> tuple[Array, Array, Array]:
        names = ("kernel", "recurrent_kernel", "bias")
        kernel, recurrent, bias = (self.params[f"rnn.{layer}.{name}"] for name in names)
        return kernel, recurrent, bias

    def _forward(self, x: Array) -> tuple[Array, list[Any]]:
        """`x` `(R, T, B, F)` -> outputs `(R, B, O)` or `(R, T, B, O)`, and what backward needs."""
        caches: list[Any] = []
        h = np.ascontiguousarray(x)
        for layer in range(self.model.layers):
            h, cache = FORWARD[self.model.cell](h, self._weights(layer), self.model.activation)
            caches.append(cache)
        seen = h if self.model.every_step else h[:, -1]
        caches.append((h, seen))
        if self.model.head == "none":
            return seen, caches
        V, b = self.params["head.kernel"], self.params["head.bias"]
        if self.model.every_step:
            V, b = V[:, None], b[:, None]
        return seen @ V + b[..., None, :], caches

    def _backward(self, d_outputs: Array, caches: list[Any]) -> Params:
        """The gradient of every parameter by name, from ∂L/∂outputs."""
        gradients: Params = {}
        h, seen = caches.pop()
        d_seen = d_outputs
        if self.model.head == "dense":
            R, U, O = len(seen), seen.shape[-1], d_outputs.shape[-1]
            flat = d_outputs.reshape(R, -1, O)  # steps and samples in one axis
            gradients["head.kernel"] = seen.reshape(R, -1, U).swapaxes(1, 2) @ flat
            gradients["head.bias"] = flat.sum(axis=1)
            d_flat = flat @ self.params["head.kernel"].swapaxes(1, 2)
            d_seen = d_flat.reshape(*d_outputs.shape[:-1], U)
        if self.model.every_step:
            dh = d_seen
        else:
            dh = np.zeros_like(h)
            dh[:, -1] = d_seen
        for layer in reversed(range(self.model.layers)):
            dh, (dW, dU, db) = BACKWARD[self.model.cell](dh, caches[layer])
            gradients[f"rnn.{layer}.kernel"] = dW
            gradients[f"rnn.{layer}.recurrent_kernel"] = dU
            gradients[f"rnn.{layer}.bias"] = db
        return gradients

    def _update(self, gradients: Params, lr: Array) -> None:
        """Clip, decay, step: the order that all backends follow."""
        if self.training.clip_norm is not None:
            clip(gradients, self.training.clip_norm)
        self.step += 1
        for name, θ in self.params.items():
            wide = (-1,) + (1,) * (θ.ndim - 1)
            rate = lr.reshape(wide).astype(θ.dtype)
            n = {key: value.reshape(wide) for key, value in self.numbers.items()}
            if n["weight_decay"].any():
                θ -= rate * n["weight_decay"].astype(θ.dtype) * θ
            slots = {slot: values[name] for slot, values in self.slots.items()}
            UPDATE[self.training.optimizer](
                θ, gradients[name], slots, self.step, rate, n, self.training.semantics
            )


def loss_and_gradient(loss: str, outputs: Array, y: Array) -> tuple[Array, Array]:
    """Mean loss of each replica `(R,)`, and its gradient with respect to `outputs`.

    mse: mean of (o − y)²; bce from logits: mean of max(o, 0) − o·y + log(1 + e^−|o|).
    """
    count = outputs[0].size
    if loss == "mse":
        error = outputs - y
        return (error * error).reshape(len(error), -1).mean(axis=1), error * (2 / count)
    terms = np.maximum(outputs, 0) - outputs * y + np.log1p(np.exp(-np.abs(outputs)))
    return terms.reshape(len(terms), -1).mean(axis=1), (sigmoid(outputs) - y) / count
