"""Keras 3 on TensorFlow: an epoch is one program.

On a small network, `model.fit` spends most of its time on Python calls, step by step. Here the
whole epoch is one `tf.function` (`program.py`), in one of two kernels: `layers` runs
`keras.layers`, one replica after the other, operation by operation; `xla` is the network in
`keras.ops`, all replicas at once, compiled together with the loop over steps. Layout and gate order
are canonical in both.
"""

import logging
import os
from functools import cache
from typing import Any

import numpy as np

from backends import CPU, Data, Execution, State, TrainingSpec
from backends.flat import flatten, unflatten
from backends.numbers import numbers_of
from backends.samples import samples_of
from harness.core.arrays import Array
from harness.core.errors import ConfigError
from harness.core.model import GATES, ModelSpec, Params
from harness.system.native_stderr import without_native_messages

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
with without_native_messages():
    import keras  # noqa: F401 - before TensorFlow, without its messages
    import tensorflow as tf

    from backends.keras_backend.program import Rules, call, predict_program, train_program

    for gpu in tf.config.list_physical_devices("GPU"):  # its first call warns of missing drivers
        tf.config.experimental.set_memory_growth(gpu, True)  # leave room for other jobs' frameworks
tf.get_logger().setLevel("ERROR")  # else it warns where a process trains several networks

log = logging.getLogger(__name__)

# `xla` takes a few tenths of a second longer to start than `layers`. It saves some 20 µs in each
# time step of a layer, and 1 µs more for each 100 gates of the batch.
XLA_STARTUP = 0.2  # seconds
MAX_TRACED = 2  # replicas at most, since `layers` traces each of them

PLACES = {"cpu": "/CPU:0", "cuda": "/GPU:0"}


class KerasBackend:
    """The Keras backend; see `backends.Backend`."""

    def __init__(
        self,
        model: ModelSpec,
        training: TrainingSpec,
        data: Data,
        state: State,
        execution: Execution = CPU,
    ) -> None:
        set_threads(execution.threads)
        self.device = choose_device(execution.device)
        set_tf32(training.semantics.tf32, self.device)
        self.model, self.training, self.step = model, training, state.step
        self.replicas = len(state.params["rnn.0.kernel"])
        self.kernel = choose_kernel(model, data, execution, self.replicas)
        self.rules = Rules(
            model=model,
            loss=training.loss,
            optimizer=training.optimizer,
            semantics=training.semantics,
            precision=training.precision,
            kernel=self.kernel,
            device=self.device,
        )
        samples = samples_of(data, self.replicas)
        self.offset = samples.offset
        kinds = {"mask": tf.bool}
        with tf.device(PLACES[self.device]):
            self.weights = self._constant(flatten(state.params, model))
            self.slots = {s: self._constant(flatten(v, model)) for s, v in state.slots.items()}
            self.data = {
                n: tf.constant(a, kinds.get(n, training.precision))
                for n, a in samples.arrays.items()
            }
            self.numbers = self._numbers()

    def train_epoch(self, batches: Array, lr: Array) -> Array:
        """Do S updates; return the mean loss before each, `(S, R)`: see `backends.Backend`."""
        with tf.device(PLACES[self.device]):
            arguments = (
                self.weights,
                self.slots,
                tf.constant(self.step, tf.int64),
                self.data,
                self.numbers,
                tf.constant(batches + self.offset, tf.int32),
                tf.constant(lr, tf.float64),
            )
            changing = ((), (), (), (0,), (), (0, 2), (0,))
            program = train_program(self.rules)
            self.weights, self.slots, losses = call(self.rules, program, arguments, changing)
        self.step += len(lr)
        return losses.numpy().astype(np.float64)

    def predict(self, x: Array, mask: Array | None = None) -> Array:
        """Return raw outputs `(R, N, O)` or `(R, N, T, O)`: see `backends.Backend`."""
        with tf.device(PLACES[self.device]):
            inputs = self._constant(np.broadcast_to(x, (self.replicas, *x.shape[1:])))
            real = None
            if mask is not None:
                real = tf.constant(np.broadcast_to(mask, (self.replicas, *mask.shape[1:])), tf.bool)
            program, arguments = predict_program(self.rules), (self.weights, inputs, real)
            return call(self.rules, program, arguments, ((), (1,), (1,))).numpy()

    def state(self) -> State:
        """Return a copy of weights, optimiser memory and step count."""
        slots = {slot: self._params(flat) for slot, flat in self.slots.items()}
        return State(self._params(self.weights), slots, self.step)

    def _numbers(self) -> dict[str, Any]:
        """Return the optimiser's numbers, `(R, 1)` in float64."""
        numbers = numbers_of(self.training)
        repeated = {n: np.broadcast_to(v, self.replicas)[:, None] for n, v in numbers.items()}
        return {name: tf.constant(value, tf.float64) for name, value in repeated.items()}

    def _constant(self, array: Array) -> Any:
        return tf.constant(array, self.training.precision)

    def _params(self, flat: Any) -> Params:
        return {n: v.copy() for n, v in unflatten(flat.numpy(), self.model).items()}


def choose_kernel(model: ModelSpec, data: Data, execution: Execution, replicas: int) -> str:
    """Return the requested kernel, or with `auto` the one that is likely to be fastest.

    That is `layers` for short runs of few replicas, else `xla`.
    """
    if execution.kernel != "auto":
        return execution.kernel
    gates = execution.batch * GATES[model.cell] * model.units
    time_steps = execution.updates * model.layers * data.x.shape[2]
    saved = time_steps * (20 + gates / 100) / 1e6
    return "xla" if saved >= XLA_STARTUP or replicas > MAX_TRACED else "layers"


def set_threads(threads: int) -> None:
    """Set TensorFlow's number of threads, which is fixed once TensorFlow runs.

    A later job in the process keeps the first number, with a warning.
    """
    settings = tf.config.threading
    if settings.get_intra_op_parallelism_threads() == threads:
        return
    try:
        settings.set_intra_op_parallelism_threads(threads)
        settings.set_inter_op_parallelism_threads(1)
    except RuntimeError:
        warn_of_threads(threads, settings.get_intra_op_parallelism_threads())


@cache
def warn_of_threads(threads: int, first: int) -> None:
    """Warn, once in a process, that the number of threads stays as it is."""
    log.warning("threads=%d: TensorFlow is running already and keeps %d.", threads, first)


def choose_device(device: str) -> str:
    """Return "cuda" or "cpu"; `auto` takes a GPU where TensorFlow can use one.

    Raises `ConfigError` for `cuda` where it cannot.
    """
    usable = bool(tf.config.list_physical_devices("GPU"))
    if device == "cuda" and not usable:
        raise ConfigError(
            f"device=cuda: this TensorFlow ({tf.__version__}) cannot use a GPU; install "
            "tensorflow[and-cuda], or use device=cpu."
        )
    return "cuda" if device != "cpu" and usable else "cpu"


def set_tf32(rule: str, device: str) -> None:
    """Set TensorFlow's TF32 switch, one for all products, which each product reads as it runs."""
    tf.config.experimental.enable_tensor_float_32_execution(rule != "off")
    if rule == "recurrent" and device == "cuda":
        warn_of_tf32()


@cache
def warn_of_tf32() -> None:
    """Warn, once in a process, that `recurrent` acts on the head too."""
    log.warning(
        "semantics.tf32=recurrent: TensorFlow has one switch for all products, so the head's are "
        "in TensorFloat-32 too."
    )
