"""JAX: pure functions of one replica, `vmap` over replicas, and one compiled program per epoch.

`lax.scan` runs over the steps of an epoch, so nothing returns to Python in between, and over time;
of its two kernels, `unrolled` has a short simple network's time steps written out. Weights, data,
learning rates and the optimiser's numbers are arguments of that program: a later job of the
same shapes and rules compiles nothing. The network is in `cells.py`, losses and update rules
are in `losses.py` and `optimizers.py`. Layout and gate order are canonical already.

A stop waits until a program is compiled and called. With jaxlib 0.10.2 a signal's exception that
is raised while JAX is imported or compiles can end the process in a segmentation fault, or go lost,
also in ten lines that use JAX alone.
"""

import logging
import os
from functools import partial
from typing import Any

import numpy as np

from backends import Data, State, TrainingSpec
from harness.core.errors import ConfigError, first_line
from harness.core.model import ModelSpec, shapes
from harness.system import signals
from harness.system.compiled_programs import freed_by

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # leave room for other jobs
import jax
from jax import lax

from backends.jax_backend.cells import network
from backends.jax_backend.losses import mean_loss
from backends.jax_backend.optimizers import Rules, Slots, update

jax.config.update("jax_enable_x64", True)  # else float64 is float32; every array here is explicit

Array = np.ndarray
Arrays = dict[str, jax.Array]
log = logging.getLogger(__name__)

THREADS = "PJRT_NPROC"  # the environment variable that XLA's CPU runtime reads as it starts
started_threads: int | None = None  # what it read then


# Time steps times layers that are unrolled in the simple cell: there a program of 10 steps takes a
# third less time and compiles as fast, one of 20 compiles twice as long. LSTM and GRU gain little.
MOST_UNROLLED = 16


class JaxBackend:
    """See `backends.Backend`."""

    def __init__(self, model: ModelSpec, training: TrainingSpec, data: Data, state: State) -> None:
        set_threads(training.threads)
        self._device = choose_device(training.device)
        self.device = "cpu" if self._device.platform == "cpu" else "cuda"
        self.kernel = choose_kernel(model, training, data)
        self.model, self.training = model, training
        self.rules = Rules(
            training.loss,
            training.optimizer,
            training.nesterov,
            training.semantics,
            unrolled=self.kernel == "unrolled",
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
                rules=self.rules,
            )
        self.step += len(lr)
        return np.asarray(losses).astype(np.float64)

    def predict(self, x: Array, mask: Array | None = None) -> Array:
        """Return raw outputs `(R, N, O)` or `(R, N, T, O)`: see `backends.Backend`."""
        inputs = self._put(x, self.training.precision)
        real, tf32 = self._mask(mask), self.rules.semantics.tf32
        with signals.deferred():
            return np.array(outputs(self.params, inputs, real, model=self.model, tf32=tf32))

    def state(self) -> State:
        """Return a copy of weights, optimiser memory and step count."""
        params, slots = jax.tree.map(np.array, (self.params, self.slots))
        return State(params, slots, self.step)

    def _numbers(self) -> Arrays:
        """The optimiser's numbers, `(R,)` in float64, without a decay that is zero throughout."""
        found = dict(self.training.numbers)
        if not found["weight_decay"].any():
            del found["weight_decay"]
        if self.training.clip is not None:
            found["clip"] = np.array([self.training.clip])
        R = len(self.params["rnn.0.kernel"])
        return {n: self._put(np.broadcast_to(v, (R,)), "float64") for n, v in found.items()}

    def _mask(self, mask: Array | None) -> jax.Array | None:
        return None if mask is None else self._put(mask, "bool")

    def _put(self, value: Any, dtype: str) -> jax.Array:
        """A copy on the device: the state's buffers are overwritten by the next epoch."""
        return jax.device_put(np.array(value, dtype), self._device, may_alias=False)


@freed_by
def free_programs() -> None:
    """Free what JAX has compiled."""
    jax.clear_caches()


# XLA's newer emitters of loops for the CPU compile some programs wrongly: with jaxlib 0.10.2 and
# AVX-512, an LSTM of 5 units, batch 4 and 2 replicas gets gradients that are off by 8 %
# (`tests/backends/test_jax_compiler.py`). Without them, or without `jit`, they are right. 0.11.2
# has no such option any more, refuses it, and gets that LSTM right on a CPU on which 0.10.2 fails.
COMPILER = {"xla_cpu_use_fusion_emitters": False} if jax.__version_info__ < (0, 11) else {}


@partial(
    jax.jit,
    static_argnames=("model", "rules"),
    donate_argnames=("params", "slots"),
    compiler_options=COMPILER,
)
def train(
    params: Arrays,
    slots: Slots,
    step: jax.Array,
    data: tuple[jax.Array, jax.Array, jax.Array | None],
    numbers: Arrays,
    batches: jax.Array,
    lr: jax.Array,
    *,
    model: ModelSpec,
    rules: Rules,
) -> tuple[tuple[Arrays, Slots], jax.Array]:
    """All updates of an epoch: `batches` `(S, R, B)`, `lr` `(S, R)` -> state, losses `(S, R)`."""

    def loss(params, x, y, mask):
        tf32, unrolled = rules.semantics.tf32, rules.unrolled
        found = network(model, params, x, mask, tf32=tf32, unrolled=unrolled)
        counted = mask if model.every_step else None
        return mean_loss(rules.loss, rules.semantics.bce, found, y, counted)

    def own_epoch(params, slots, data, numbers, batches, lr):
        def own_step(carry, inputs):
            (params, slots, t), (rows, rate) = carry, inputs
            batch = (None if part is None else part[rows] for part in data)
            value, gradients = jax.value_and_grad(loss)(params, *batch)
            state = update(params, gradients, slots, t + 1, rate, numbers, rules)
            return (*state, t + 1), value

        carry, losses = lax.scan(own_step, (params, slots, step), (batches, lr))
        return carry[:2], losses

    own, axes = unshared(data)
    over_replicas = jax.vmap(own_epoch, in_axes=(0, 0, axes, 0, 1, 1), out_axes=(0, 1))
    return over_replicas(params, slots, own, numbers, batches, lr)


@partial(jax.jit, static_argnames=("model", "tf32"), compiler_options=COMPILER)
def outputs(
    params: Arrays, x: jax.Array, mask: jax.Array | None, *, model: ModelSpec, tf32: str
) -> jax.Array:
    """`x` `(R, N, T, F)` -> `(R, N, O)` or `(R, N, T, O)`."""
    own, axes = unshared((x, mask))
    return jax.vmap(partial(network, model, tf32=tf32), in_axes=(0, *axes))(params, *own)


def unshared(parts: tuple[jax.Array | None, ...]) -> tuple[tuple, tuple]:
    """Arrays and their axes for `vmap`: what has one row only is shared and loses the axis."""
    axes = tuple(None if part is None or len(part) == 1 else 0 for part in parts)
    own = (
        part[0] if part is not None and axis is None else part
        for part, axis in zip(parts, axes, strict=True)
    )
    return tuple(own), axes


def choose_kernel(model: ModelSpec, training: TrainingSpec, data: Data) -> str:
    """The kernel that is asked for; with `auto`, `unrolled` for short networks of simple cells."""
    if training.kernel != "auto":
        return training.kernel
    short = model.layers * data.x.shape[2] <= MOST_UNROLLED
    return "unrolled" if model.cell == "rnn" and short else "scan"


def set_threads(threads: int) -> None:
    """XLA takes its number of threads for the CPU as it starts, from the environment; a later job
    of the process keeps the first. Measured on jaxlib 0.10.2: `XLA_FLAGS` with
    `--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1` leaves two busy threads on
    two cores, `PJRT_NPROC=1` one. Where other code has started XLA before, neither can be known.
    """
    global started_threads
    if started_threads is None:
        before = os.environ.get(THREADS)
        os.environ[THREADS] = str(threads)
        _devices("cpu")  # starts it
        started_threads = threads
        if before is None:
            del os.environ[THREADS]  # child processes have their own number
        else:
            os.environ[THREADS] = before
    elif started_threads != threads:
        log.warning("threads=%d: XLA is running already and keeps %d.", threads, started_threads)


def choose_device(device: str) -> Any:
    """`auto` takes a GPU that JAX can use; `cuda` insists on it."""
    found = [each for each in _devices() if each.platform == "gpu"]
    if device == "cuda" and not found:
        raise ConfigError(
            f"device=cuda: this JAX ({jax.__version__}) sees no GPU; install jax[cuda12], or use "
            "device=cpu."
        )
    return found[0] if device != "cpu" and found else _devices("cpu")[0]


def _devices(platform: str | None = None) -> list[Any]:
    """JAX starts here, or says why it cannot."""
    try:
        return jax.devices(platform)
    except (RuntimeError, AssertionError) as error:
        asked = os.environ.get("JAX_PLATFORMS", "")
        raise ConfigError(
            f"JAX_PLATFORMS={asked}: JAX cannot start ({first_line(error)}); unset it, or use cpu."
        ) from error
