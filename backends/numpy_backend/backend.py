"""NumPy, the reference: forward pass, backpropagation through time and updates by hand.

BPTT is in `cells.py`, the losses in `losses.py` and the update rules in `optimizers.py`; this file
combines them: recurrent layers, head, loss, clipping, update. Replicas are a leading axis of every
array, so R runs cost R times the arithmetic but one time the overhead of Python. All weights are in
one array `flat` `(R, P)`, and `params` are views of it by name; so are the gradients. So an update
works on one array, not on one per weight.
"""

from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from backends import CPU, Data, Execution, State, TrainingSpec
from backends.flat import flatten, sizes, unflatten
from backends.numbers import numbers_of
from backends.numpy_backend.cells import CELLS
from backends.numpy_backend.losses import mean_loss
from backends.numpy_backend.optimizers import UPDATE, clip, decay
from harness.core.arrays import Array
from harness.core.model import ModelSpec

BLAS = ThreadpoolController().select(user_api="blas")

# As in the other backends, a diverging run shows in its loss, which the trainer reports once.
QUIETLY = np.errstate(over="ignore", invalid="ignore", divide="ignore")


class NumpyBackend:
    """The NumPy backend; see `backends.Backend`."""

    device, kernel = "cpu", "loops"

    def __init__(
        self,
        model: ModelSpec,
        training: TrainingSpec,
        data: Data,
        state: State,
        execution: Execution = CPU,
    ) -> None:
        dtype = np.dtype(training.precision)
        self.model, self.training, self.execution = model, training, execution
        mask = None if data.mask is None else data.mask.astype(dtype)
        self.data = Data(data.x.astype(dtype, copy=False), data.y.astype(dtype, copy=False), mask)
        cell = f"gru {model.reset}" if model.cell == "gru" else model.cell
        self.cell_forward, self.cell_backward = CELLS[cell]
        self.flat = flatten(state.params, model).astype(dtype)
        self.params = unflatten(self.flat, model)
        self.slots = {s: flatten(v, model).astype(dtype) for s, v in state.slots.items()}
        self.gradient = np.empty_like(self.flat)
        self.gradients = unflatten(self.gradient, model)
        self.step = state.step
        numbers = numbers_of(training)
        self.numbers = {name: value[:, None] for name, value in numbers.items()}  # (R or 1, 1)
        self.sizes = sizes(model)

    @QUIETLY
    def train_epoch(self, batches: Array, lr: Array) -> Array:
        """Do S updates; return the mean loss before each, `(S, R)`: see `backends.Backend`."""
        self._use_threads()
        losses = np.empty(lr.shape)
        for s, rows in enumerate(batches):
            x, y = self._rows(self.data.x, rows), self._rows(self.data.y, rows)
            mask = None if self.data.mask is None else self._rows(self.data.mask, rows)
            outputs, caches = self._forward(x, mask)
            counted = None
            if self.model.every_step:
                y = y.swapaxes(1, 2)  # (R, T, B, O), as the outputs are
                counted = over_time(mask)
            losses[s], d_outputs = mean_loss(
                self.training.loss, self.training.semantics.bce, outputs, y, counted
            )
            self._backward(d_outputs, caches)
            self._update(lr[s][:, None])
        return losses

    @QUIETLY
    def predict(self, x: Array, mask: Array | None = None) -> Array:
        """Return raw outputs `(R, N, O)` or `(R, N, T, O)`: see `backends.Backend`."""
        self._use_threads()
        dtype = self.training.precision
        outputs, _ = self._forward(x.astype(dtype), None if mask is None else mask.astype(dtype))
        return outputs.swapaxes(1, 2) if self.model.every_step else outputs

    def state(self) -> State:
        """Return a copy of weights, optimiser memory and step count."""
        slots = {slot: unflatten(flat.copy(), self.model) for slot, flat in self.slots.items()}
        return State(unflatten(self.flat.copy(), self.model), slots, self.step)

    def _use_threads(self) -> None:
        """Set the number of BLAS threads, which is global to the process, at every call.

        Setting it while another backend multiplies slows both: it is set only where it differs.
        """
        threads = self.execution.threads_each
        if any(lib.num_threads != threads for lib in BLAS.lib_controllers):
            BLAS.limit(limits=threads, user_api="blas")

    @staticmethod
    def _rows(array: Array, rows: Array) -> Array:
        """Return each replica's samples `rows` `(R, B)` of `array` `(R, N, …)` or `(1, N, …)`."""
        return array[0][rows] if len(array) == 1 else array[np.arange(len(array))[:, None], rows]

    def _weights(self, layer: int) -> tuple[Array, Array, Array]:
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

    def _bias_gradients(self, layer: int, db: Array) -> None:
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

    def _forward(self, x: Array, mask: Array | None) -> tuple[Array, list[Any]]:
        """Return outputs `(R, B, O)` or `(R, T, B, O)` of `x` `(R, B, T, F)`, and their caches."""
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

    def _backward(self, d_outputs: Array, caches: list[Any]) -> None:
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
            dh = np.zeros_like(h)
            dh[:, -1] = d_seen
        for layer in reversed(range(self.model.layers)):
            da, (dW, dU, db) = self.cell_backward(dh, caches[layer])
            if layer:  # no gradient with respect to the data is needed
                W = self.params[f"rnn.{layer}.kernel"]
                dh = (da.reshape(len(da), -1, da.shape[-1]) @ W.swapaxes(1, 2)).reshape(dh.shape)
            self.gradients[f"rnn.{layer}.kernel"][...] = dW
            self.gradients[f"rnn.{layer}.recurrent_kernel"][...] = dU
            self._bias_gradients(layer, db)

    def _update(self, lr: Array) -> None:
        """Clip, decay, step: the order of all backends. `lr` `(R, 1)`."""
        self.step += 1
        s, θ, g = self.training.semantics, self.flat, self.gradient
        n = self.numbers | {"lr": lr.astype(θ.dtype), "t": np.array(self.step)}
        clip(g, self.sizes, n, s)
        decay(θ, g, n, s)
        UPDATE[self.training.optimizer](θ, g, self.slots, n, s)


def over_time(mask: Array | None) -> Array | None:
    """Transpose a mask `(R, B, T)` to `(R, T, B, 1)`, as the cells take it."""
    return None if mask is None else mask.swapaxes(1, 2)[..., None]
