"""Keras 3 on TensorFlow: `keras.layers` in one program per epoch.

Most of the time of `model.fit` on a small network goes into calling it, step by step. Here the
whole epoch is one `tf.function` (`program.py`), in one of two kernels: `layers` are Keras'
own, one replica after the other, run operation by operation; `xla` is the network in `keras.ops`,
all replicas at once, compiled together with the loop over steps. Layout and gates are canonical.
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
from harness.core.errors import ConfigError
from harness.core.model import GATES, ModelSpec, Params
from harness.system.native_stderr import without_native_messages

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
with without_native_messages():
    import keras  # noqa: F401 - first, and quietly
    import tensorflow as tf

    from backends.keras_backend.program import Rules, call, predict_program, train_program

    for gpu in tf.config.list_physical_devices("GPU"):  # at the first call it misses drivers aloud
        tf.config.experimental.set_memory_growth(gpu, True)  # leave room for other jobs' frameworks
tf.get_logger().setLevel("ERROR")  # warns of retracing whenever a process trains several networks

Array = np.ndarray
log = logging.getLogger(__name__)

# `xla` begins a few tenths of a second later than `layers`. It saves some 20 µs in each time step
# of a layer, and 1 µs more for each 100 gates of the batch.
LATER = 0.2  # seconds
MOST_TRACED = 2  # replicas, as `layers` traces each of them

PLACES = {"cpu": "/CPU:0", "cuda": "/GPU:0"}


class KerasBackend:
    """See `backends.Backend`."""

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
        own = numbers_of(self.training).items()
        wide = {name: np.broadcast_to(v, self.replicas)[:, None] for name, v in own}
        return {name: tf.constant(value, tf.float64) for name, value in wide.items()}

    def _constant(self, array: Array) -> Any:
        return tf.constant(array, self.training.precision)

    def _params(self, flat: Any) -> Params:
        return {n: v.copy() for n, v in unflatten(flat.numpy(), self.model).items()}


def choose_kernel(model: ModelSpec, data: Data, execution: Execution, replicas: int) -> str:
    """The kernel that is asked for; with `auto`, `layers` for short runs of few replicas."""
    if execution.kernel != "auto":
        return execution.kernel
    gates = execution.batch * GATES[model.cell] * model.units
    time_steps = execution.updates * model.layers * data.x.shape[2]
    saved = time_steps * (20 + gates / 100) / 1e6
    return "xla" if saved >= LATER or replicas > MOST_TRACED else "layers"


def set_threads(threads: int) -> None:
    """TensorFlow takes its number of threads once; a later job of the process keeps the first."""
    settings = tf.config.threading
    if settings.get_intra_op_parallelism_threads() == threads:
        return
    try:
        settings.set_intra_op_parallelism_threads(threads)
        settings.set_inter_op_parallelism_threads(1)
    except RuntimeError:
        kept = settings.get_intra_op_parallelism_threads()
        log.warning("threads=%d: TensorFlow is running already and keeps %d.", threads, kept)


def choose_device(device: str) -> str:
    """`auto` takes a GPU that TensorFlow can use; `cuda` insists on it."""
    found = bool(tf.config.list_physical_devices("GPU"))
    if device == "cuda" and not found:
        raise ConfigError(
            f"device=cuda: this TensorFlow ({tf.__version__}) sees no GPU; install "
            "tensorflow[and-cuda], or use device=cpu."
        )
    return "cuda" if device != "cpu" and found else "cpu"


def set_tf32(rule: str, device: str) -> None:
    """TensorFlow has one switch for all products, and takes its present value at each."""
    tf.config.experimental.enable_tensor_float_32_execution(rule != "off")
    if rule == "recurrent" and device == "cuda":
        warn_of_tf32()


@cache
def warn_of_tf32() -> None:
    """Log once that TensorFlow applies TF32 to the head, too."""
    log.warning(
        "semantics.tf32=recurrent: TensorFlow has one switch for all products, so the head's are "
        "in TensorFloat-32 too."
    )
