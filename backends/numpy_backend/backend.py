"""NumPy, the reference: forward pass, backpropagation through time and updates by hand.

The network is in `network.py`, its cells with BPTT in `cells.py`, the losses in `losses.py` and the
update rules in `optimizers.py`; this file combines them: forward, loss, backward, clipping, update.
Replicas are a leading axis of every array, so R runs cost R times the arithmetic but one time the
overhead of Python. All weights are in one array `flat` `(R, P)`, and the network's are views of it
by name; so are the gradients. So an update works on one array, not on one per weight.

There are two kernels: `loops`, and `sharded`, which does the same for equal parts of each batch in
threads, since NumPy's larger operations release the GIL.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
from threadpoolctl import ThreadpoolController

from backends import CPU, Data, Execution, State, TrainingSpec
from backends.flat import flatten, sizes, unflatten
from backends.numbers import numbers_of
from backends.numpy_backend.losses import mean_loss
from backends.numpy_backend.network import Network, over_time
from backends.numpy_backend.optimizers import UPDATE, clip, decay
from backends.shards import check_shards
from harness.core.arrays import Array
from harness.core.model import ModelSpec

BLAS = ThreadpoolController().select(user_api="blas")

# As in the other backends, a diverging run shows in its loss, which the trainer reports once.
QUIETLY = np.errstate(over="ignore", invalid="ignore", divide="ignore")


class NumpyBackend:
    """The NumPy backend; see `backends.Backend`."""

    device, _network = "cpu", Network

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
        self.flat = flatten(state.params, model).astype(dtype)
        self.slots = {s: flatten(v, model).astype(dtype) for s, v in state.slots.items()}
        self.kernel = choose_kernel(model, data, execution)
        self.shards = execution.threads_each if self.kernel == "sharded" else 1
        self.threads = ThreadPoolExecutor(self.shards) if self.shards > 1 else None
        self.gradient = np.empty((self.shards, *self.flat.shape), dtype)
        new = partial(self._network, model, unflatten(self.flat, model))
        self.networks = [new(unflatten(flat, model)) for flat in self.gradient]
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
            losses[s] = self._batch(rows)
            self._update(lr[s][:, None])
        return losses

    def _batch(self, rows: Array) -> Array:
        """Write a batch's gradient to `gradient[0]`; return the losses `(R,)`."""
        if self.threads is None or rows.shape[1] % self.shards:
            return self._pass(self.networks[0], rows)
        parts = np.split(rows, self.shards, axis=1)
        losses = list(self.threads.map(self._pass, self.networks, parts))
        np.mean(self.gradient, axis=0, out=self.gradient[0])
        return np.mean(losses, axis=0)

    @QUIETLY
    def _pass(self, network: Network, rows: Array) -> Array:
        """Write a network's gradients of samples `rows` `(R, B)`; return the losses `(R,)`."""
        x, y = self._rows(self.data.x, rows), self._rows(self.data.y, rows)
        mask = None if self.data.mask is None else self._rows(self.data.mask, rows)
        outputs, caches = network.forward(x, mask)
        counted = None
        if self.model.every_step:
            y = y.swapaxes(1, 2)  # (R, T, B, O), as the outputs are
            counted = over_time(mask)
        losses, d_outputs = mean_loss(
            self.training.loss, self.training.semantics.bce, outputs, y, counted
        )
        network.backward(d_outputs, caches)
        return losses

    @QUIETLY
    def predict(self, x: Array, mask: Array | None = None) -> Array:
        """Return raw outputs `(R, N, O)` or `(R, N, T, O)`: see `backends.Backend`."""
        self._use_threads()
        dtype = self.training.precision
        real = None if mask is None else mask.astype(dtype)
        weights = self.networks[0].params
        network = self._network(self.model, weights, {})  # its arrays are not kept
        outputs, _ = network.forward(x.astype(dtype), real)
        return outputs.swapaxes(1, 2) if self.model.every_step else outputs

    def state(self) -> State:
        """Return a copy of weights, optimiser memory and step count."""
        slots = {slot: unflatten(flat.copy(), self.model) for slot, flat in self.slots.items()}
        return State(unflatten(self.flat.copy(), self.model), slots, self.step)

    def _use_threads(self) -> None:
        """Set the number of BLAS threads, which is global to the process, at every call.

        Setting it while another backend multiplies slows both: it is set only where it differs.
        """
        threads = self.execution.threads_each if self.threads is None else 1
        if any(lib.num_threads != threads for lib in BLAS.lib_controllers):
            BLAS.limit(limits=threads, user_api="blas")

    @staticmethod
    def _rows(array: Array, rows: Array) -> Array:
        """Return each replica's samples `rows` `(R, B)` of `array` `(R, N, …)` or `(1, N, …)`."""
        return array[0][rows] if len(array) == 1 else array[np.arange(len(array))[:, None], rows]

    def _update(self, lr: Array) -> None:
        """Clip, decay, step: the order of all backends. `lr` `(R, 1)`."""
        self.step += 1
        s, θ, g = self.training.semantics, self.flat, self.gradient[0]
        n = self.numbers | {"lr": lr.astype(θ.dtype), "t": np.array(self.step)}
        clip(g, self.sizes, n, s)
        decay(θ, g, n, s)
        UPDATE[self.training.optimizer](θ, g, self.slots, n, s)


def choose_kernel(model: ModelSpec, data: Data, execution: Execution) -> str:
    """Return the requested kernel; with `auto`, `loops`.

    Raises `ConfigError` where batches cannot be split into equal parts for threads.
    """
    if execution.kernel == "sharded":
        check_shards(model, data, execution)
    return "loops" if execution.kernel == "auto" else execution.kernel
