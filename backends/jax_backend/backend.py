"""JAX: one compiled program per epoch (`program.py`), on arrays that stay on the device.

There are four kernels: `scan` is a loop over time; `unrolled` has all time steps written out, which
saves a tenth of a short network's time and takes twice as long to compile; `sharded` is `scan` with
each batch in equal parts, one for each thread, which XLA takes for devices; `step` is `scan` in a
program of one update, called from Python as in a loop by hand. Layout and gate order are canonical
in all.

A signal is handled after a program has been compiled and called. With jaxlib 0.10.2 a signal's
exception that is raised while JAX is imported or compiles can end the process in a segmentation
fault, or be lost; ten lines that use JAX alone show it.
"""

import logging
import os
from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from backends import CPU, Data, Execution, State, TrainingSpec
from backends.numbers import numbers_of
from backends.shards import check_shards, refuse
from harness.core.arrays import Array
from harness.core.errors import ConfigError, first_line
from harness.core.model import ModelSpec, shapes
from harness.system import signals

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # leave room for other jobs
import jax

from backends.jax_backend.program import Arrays, Rules, outputs, replicated, train

jax.config.update("jax_enable_x64", True)  # else float64 is float32; every array here is explicit

log = logging.getLogger(__name__)

THREADS = "PJRT_NPROC"  # environment variable that XLA's CPU runtime reads as it starts
started_threads: int | None = None  # the number of threads that it read then


class JaxBackend:
    """The JAX backend; see `backends.Backend`."""

    def __init__(
        self,
        model: ModelSpec,
        training: TrainingSpec,
        data: Data,
        state: State,
        execution: Execution = CPU,
    ) -> None:
        set_threads(execution.threads)
        self._device = choose_device(execution.device)
        self.device = "cpu" if self._device.platform == "cpu" else "cuda"
        self.kernel = choose_kernel(model, data, execution, self.device)
        self.model, self.training = model, training
        shards = execution.threads_each if self.kernel == "sharded" else 1
        self._place = self._device if shards == 1 else replicated(shards)
        self.rules = Rules(
            loss=training.loss,
            optimizer=training.optimizer,
            semantics=training.semantics,
            unrolled=self.kernel == "unrolled",
            shards=shards,
        )
        dtype = training.precision
        self.data = (self._put(data.x, dtype), self._put(data.y, dtype), self._mask(data.mask))
        self.params = {name: self._put(state.params[name], dtype) for name in shapes(model)}
        self.slots = {
            slot: {name: self._put(values[name], dtype) for name in self.params}
            for slot, values in state.slots.items()
        }
        self.step = state.step
        self.numbers = self._numbers()

    def train_epoch(self, batches: Array, lr: Array) -> Array:
        """Do S updates; return the mean loss before each, `(S, R)`: see `backends.Backend`."""
        programs = len(lr) if self.kernel == "step" else 1
        calls = zip(np.array_split(batches, programs), np.array_split(lr, programs), strict=True)
        losses = [self._train(*call) for call in calls]
        return np.concatenate(losses).astype(np.float64)

    def _train(self, batches: Array, lr: Array) -> jax.Array:
        """Do the updates of one program; return the losses `(S, R)` before each."""
        whole = batches.shape[2] % self.rules.shards == 0
        with signals.deferred():
            (self.params, self.slots), losses = train(
                self.params,
                self.slots,
                self._put(self.step, "int32"),
                self.data,
                self.numbers,
                self._put(batches, "int32"),
                self._put(lr, self.training.precision),
                model=self.model,
                rules=self.rules if whole else replace(self.rules, shards=1),
            )
        self.step += len(lr)
        return losses

    def predict(self, x: Array, mask: Array | None = None) -> Array:
        """Return raw outputs `(R, N, O)` or `(R, N, T, O)`: see `backends.Backend`."""
        # Shards have copies of the weights, and one of them is enough.
        params = jax.tree.map(lambda a: a.addressable_data(0), self.params)
        inputs = jax.device_put(np.array(x, self.training.precision), self._device)
        real = None if mask is None else jax.device_put(mask, self._device)
        tf32 = self.rules.semantics.tf32
        with signals.deferred():
            return np.array(outputs(params, inputs, real, model=self.model, tf32=tf32))

    def state(self) -> State:
        """Return a copy of weights, optimiser memory and step count."""
        params, slots = jax.tree.map(np.array, (self.params, self.slots))
        return State(params, slots, self.step)

    def _numbers(self) -> Arrays:
        """Return the optimiser's numbers, `(R,)` in float64."""
        R = len(self.params["rnn.0.kernel"])
        numbers = numbers_of(self.training)
        return {n: self._put(np.broadcast_to(v, (R,)), "float64") for n, v in numbers.items()}

    def _mask(self, mask: Array | None) -> jax.Array | None:
        return None if mask is None else self._put(mask, "bool")

    def _put(self, value: Any, dtype: str) -> jax.Array:
        """Return a copy on the device: the state's buffers are overwritten by the next epoch."""
        return jax.device_put(np.array(value, dtype), self._place, may_alias=False)


def choose_kernel(model: ModelSpec, data: Data, execution: Execution, device: str) -> str:
    """Return the requested kernel; with `auto`, `scan`, which compiles fastest.

    Raises `ConfigError` for a kernel that cannot train this network here.
    """
    if execution.kernel == "sharded":
        check_shards(model, data, execution)
        if device != "cpu":
            refuse("is for the CPU, and this run is on a GPU")
        if execution.threads_each > len(_devices("cpu")):
            refuse(f"XLA runs already, with threads={len(_devices('cpu'))}")
    return "scan" if execution.kernel == "auto" else execution.kernel


def set_threads(threads: int) -> None:
    """Set XLA's number of threads on the CPU, which is fixed once XLA runs.

    A later job in the process keeps the first number, with a warning. XLA reads the number from the
    environment as it starts. Measured on jaxlib 0.10.2: `XLA_FLAGS` with
    `--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1` leaves two busy threads on
    two cores, `PJRT_NPROC=1` one. Where other code has started XLA before, its number is unknown.
    """
    global started_threads
    if started_threads is None:
        before = os.environ.get(THREADS)
        os.environ[THREADS] = str(threads)
        with suppress(RuntimeError):  # other code has started XLA, with a number of its own
            jax.config.update("jax_num_cpu_devices", threads)  # for the kernel `sharded`
        _devices("cpu")  # starts XLA
        started_threads = threads
        if before is None:
            del os.environ[THREADS]  # child processes set their own number
        else:
            os.environ[THREADS] = before
    elif started_threads != threads:
        warn_of_threads(threads, started_threads)


@cache
def warn_of_threads(threads: int, first: int) -> None:
    """Warn, once in a process, that the number of threads stays as it is."""
    log.warning("threads=%d: XLA is running already and keeps %d.", threads, first)


def choose_device(device: str) -> Any:
    """Return the JAX device; `auto` takes a GPU where JAX can use one.

    Raises `ConfigError` for `cuda` where it cannot.
    """
    gpus = [d for d in _devices() if d.platform == "gpu"]
    if device == "cuda" and not gpus:
        raise ConfigError(
            f"device=cuda: this JAX ({jax.__version__}) cannot use a GPU; install jax[cuda12], "
            "or use device=cpu."
        )
    return gpus[0] if device != "cpu" and gpus else _devices("cpu")[0]


def _devices(platform: str | None = None) -> list[Any]:
    """Return JAX's devices; JAX starts here. Raises `ConfigError` where it cannot start."""
    try:
        return jax.devices(platform)
    except (RuntimeError, AssertionError) as error:
        platforms = os.environ.get("JAX_PLATFORMS", "")
        raise ConfigError(
            f"JAX_PLATFORMS={platforms}: JAX cannot start ({first_line(error)}); unset it, or use "
            "cpu."
        ) from error
