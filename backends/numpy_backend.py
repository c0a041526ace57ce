"""The reference: forward, backpropagation through time and updates in plain NumPy.

Read `numpy_cells.py` for BPTT, `numpy_losses.py` for the losses and `numpy_optimizers.py` for the
update rules; this file strings them together: recurrent layers, head, loss, clipping, update.
Replicas are a leading axis of every array, so R runs cost R times the arithmetic but one time the
overhead of Python.
"""

from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from backends import Data, State, TrainingSpec
from backends.numpy_cells import lstm_backward, lstm_forward, rnn_backward, rnn_forward
from backends.numpy_gru import gru_backward, gru_before_backward, gru_before_forward, gru_forward
from backends.numpy_losses import loss_and_gradient
from backends.numpy_optimizers import UPDATE, clip, decay
from harness.model import ModelSpec, Params, shapes

Array = np.ndarray

CELLS = {
    "rnn": (rnn_forward, rnn_backward),
    "lstm": (lstm_forward, lstm_backward),
    "gru after": (gru_forward, gru_backward),
    "gru before": (gru_before_forward, gru_before_backward),
}

# As in the other backends, a diverging run shows in its loss; the trainer says so, once.
QUIETLY = np.errstate(over="ignore", invalid="ignore", divide="ignore")


class NumpyBackend:
    """See `backends.Backend`."""

    device = "cpu"

    def __init__(self, model: ModelSpec, training: TrainingSpec, data: Data, state: State) -> None:
        threadpool_limits(training.threads, user_api="blas")
        dtype = np.dtype(training.precision)
        self.model, self.training = model, training
        mask = None if data.mask is None else data.mask.astype(dtype)
        self.data = Data(data.x.astype(dtype, copy=False), data.y.astype(dtype, copy=False), mask)
        cell = f"gru {model.reset}" if model.cell == "gru" else model.cell
        self.cell_forward, self.cell_backward = CELLS[cell]
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
            x, y, mask = (self._rows(part, rows) for part in vars(self.data).values())
            outputs, caches = self._forward(x, mask)
            counted = None
            if self.model.every_step:
                y = y.swapaxes(1, 2)  # (R, T, B, O), as the outputs are
                counted = over_time(mask)
            losses[s], d_outputs = loss_and_gradient(
                self.training.loss, self.training.semantics.bce, outputs, y, counted
            )
            self._update(self._backward(d_outputs, caches), lr[s])
        return losses

    @QUIETLY
    def predict(self, x: Array, mask: Array | None = None) -> Array:
        dtype = self.training.precision
        outputs, _ = self._forward(x.astype(dtype), None if mask is None else mask.astype(dtype))
        return outputs.swapaxes(1, 2) if self.model.every_step else outputs

    def state(self) -> State:
        slots = {
            slot: {n: v.copy() for n, v in values.items()} for slot, values in self.slots.items()
        }
        return State({n: p.copy() for n, p in self.params.items()}, slots, self.step)

    @staticmethod
    def _rows(array: Array | None, rows: Array) -> Any:
        """Each replica's samples `rows` `(R, B)` from `(R, N, …)`, or from `(1, N, …)` shared."""
        if array is None:
            return None
        return array[0][rows] if len(array) == 1 else array[np.arange(len(array))[:, None], rows]

    def _weights(self, layer: int) -> tuple[Array, Array, Array]:
        """W, U and the bias that acts: `(R, GH)`, or the GRU's two rows `(R, 2, 3H)`."""
        names = ("kernel", "recurrent_kernel", "bias", "recurrent_bias")
        W, U, b, second = (self.params.get(f"rnn.{layer}.{name}") for name in names)
        assert W is not None and U is not None and b is not None
        if self.model.cell != "gru":
            return W, U, b if second is None else b + second
        if self.model.biases != "double":
            b = np.stack([b, np.zeros_like(b)], axis=1)
            if second is not None:
                b[:, 1, -self.model.units :] = second
        return W, U, b

    def _bias_gradients(self, layer: int, db: Array) -> Params:
        """Of the trained biases, from that of the bias which acts."""
        first, second = f"rnn.{layer}.bias", f"rnn.{layer}.recurrent_bias"
        if self.model.cell != "gru":  # each of two gets the whole gradient
            return {first: db} | ({second: db.copy()} if self.model.biases == "double" else {})
        if self.model.biases == "double":
            return {first: db}
        candidate = {second: db[:, 1, -self.model.units :]}
        return {first: db[:, 0]} | (candidate if self.model.biases == "candidate" else {})

    def _forward(self, x: Array, mask: Array | None) -> tuple[Array, list[Any]]:
        """`x` `(R, B, T, F)` -> outputs `(R, B, O)` or `(R, T, B, O)`, and what backward needs."""
        caches: list[Any] = []
        h, real = np.ascontiguousarray(x.swapaxes(1, 2)), over_time(mask)
        for layer in range(self.model.layers):
            h, cache = self.cell_forward(h, self._weights(layer), real, self.model.activation)
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
            dh, (dW, dU, db) = self.cell_backward(dh, caches[layer])
            gradients[f"rnn.{layer}.kernel"] = dW
            gradients[f"rnn.{layer}.recurrent_kernel"] = dU
            gradients |= self._bias_gradients(layer, db)
        return gradients

    def _update(self, gradients: Params, lr: Array) -> None:
        """Clip, decay, step: the order that all backends follow."""
        semantics = self.training.semantics
        if self.training.clip is not None:
            clip(gradients, self.training.clip, semantics)
        self.step += 1
        for name, θ in self.params.items():
            g, wide = gradients[name], (-1,) + (1,) * (θ.ndim - 1)
            rate = lr.reshape(wide).astype(θ.dtype)
            n = {key: value.reshape(wide) for key, value in self.numbers.items()}
            if n["weight_decay"].any():
                decay(θ, g, rate, n["weight_decay"].astype(θ.dtype), semantics)
            slots = {slot: values[name] for slot, values in self.slots.items()}
            UPDATE[self.training.optimizer](θ, g, slots, self.step, rate, n, semantics)


def over_time(mask: Array | None) -> Array | None:
    """`(R, B, T)` -> `(R, T, B, 1)`, as the cells take it."""
    return None if mask is None else mask.swapaxes(1, 2)[..., None]
