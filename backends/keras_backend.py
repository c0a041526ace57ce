"""Keras 3 on TensorFlow: `keras.layers`, one stack of layers per replica.

The whole epoch is one `tf.function`, since most of the time of `model.fit` on a small network goes
into calling it. Layout and gate order are canonical already. Where the semantics train other biases
than a Keras layer has, `keras.StatelessScope` puts the bias that acts in the place of the layer's.
Losses are in `keras_losses.py`, update rules in `keras_optimizers.py`.
"""

import logging
import os
from functools import cache
from typing import Any

import numpy as np

from backends import Data, State, TrainingSpec
from harness.errors import ConfigError
from harness.model import ModelSpec, Params, shapes
from harness.quiet import without_native_messages

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
with without_native_messages():
    import keras
    import tensorflow as tf

    from backends.keras_losses import mean_loss
    from backends.keras_optimizers import UPDATE, clip, decay

    for gpu in tf.config.list_physical_devices("GPU"):  # at the first call it misses drivers aloud
        tf.config.experimental.set_memory_growth(gpu, True)  # leave room for other jobs' frameworks
tf.get_logger().setLevel("ERROR")  # warns of retracing whenever a process trains several networks

Array = np.ndarray
log = logging.getLogger(__name__)

UNROLLED_STEPS = 32  # up to this length the loop over time is unrolled: faster, slower to compile

PLACES = {"cpu": "/CPU:0", "cuda": "/GPU:0"}


class KerasBackend:
    """See `backends.Backend`."""

    def __init__(self, model: ModelSpec, training: TrainingSpec, data: Data, state: State) -> None:
        set_threads(training.threads)
        self.device = choose_device(training.device)
        set_tf32(training.semantics.tf32, self.device)
        self.model, self.training = model, training
        self.replicas = len(state.params["rnn.0.kernel"])
        numbers = training.numbers | {"nesterov": np.array([training.nesterov])}
        self.numbers = [
            {name: float(own[r % len(own)]) for name, own in numbers.items()}
            for r in range(self.replicas)
        ]
        with tf.device(PLACES[self.device]):
            self.x = tf.constant(data.x, training.precision)
            self.y = tf.constant(data.y, training.precision)
            self.mask = None if data.mask is None else tf.constant(data.mask, tf.bool)
            self.layers = [self._layers(data.x.shape[2]) for _ in range(self.replicas)]
            self.variables = [self._variables(layers) for layers in self.layers]
            self.slots = {slot: self._memory() for slot in state.slots}
            self.step = tf.Variable(tf.constant(state.step, tf.int64))
        self._scatter(self.variables, state.params)
        for slot, memory in self.slots.items():
            self._scatter(memory, state.slots[slot])
        rows = tf.TensorSpec((None, self.replicas, None), tf.int32)
        rates = tf.TensorSpec((None, self.replicas), training.precision)
        self._epoch = tf.function(self._train, input_signature=[rows, rates])
        self._predict = tf.function(self._outputs)

    def train_epoch(self, batches: Array, lr: Array) -> Array:
        with tf.device(PLACES[self.device]):
            rows = tf.constant(batches, tf.int32)
            losses = self._epoch(rows, tf.constant(lr, self.training.precision))
        return losses.numpy().astype(np.float64)

    def predict(self, x: Array, mask: Array | None = None) -> Array:
        given = [(x, self.training.precision)] + ([] if mask is None else [(mask, "bool")])
        wide = [(np.broadcast_to(a, (self.replicas, *a.shape[1:])), kind) for a, kind in given]
        specs = [tf.TensorSpec((self.replicas, None, *a.shape[2:]), kind) for a, kind in wide]
        with tf.device(PLACES[self.device]):
            outputs = self._predict.get_concrete_function(*specs)  # compiled once for any N
            return outputs(*(tf.constant(a, kind) for a, kind in wide)).numpy()

    def state(self) -> State:
        slots = {slot: self._gather(memory) for slot, memory in self.slots.items()}
        return State(self._gather(self.variables), slots, int(self.step))

    def _train(self, rows: tf.Tensor, rates: tf.Tensor) -> tf.Tensor:
        """All updates of an epoch: `rows` `(S, R, B)`, `rates` `(S, R)` -> losses `(S, R)`."""
        steps = tf.shape(rows)[0]
        losses = tf.TensorArray(rates.dtype, size=steps, element_shape=(self.replicas,))
        for s in tf.range(steps):
            self.step.assign_add(1)
            step = [self._step(r, rows[s, r], rates[s, r]) for r in range(self.replicas)]
            losses = losses.write(s, tf.stack(step))
        return losses.stack()

    @tf.autograph.experimental.do_not_convert
    def _step(self, replica: int, rows: tf.Tensor, rate: tf.Tensor) -> tf.Tensor:
        """One update of one replica on its samples `rows` `(B,)`: the mean loss before it."""
        given = (self.x, self.y, self.mask)  # data that all share has one row
        x, y, mask = (None if a is None else tf.gather(a[replica % len(a)], rows) for a in given)
        with tf.GradientTape() as tape:
            outputs, form = self._call(replica, x, mask), self.training.semantics.bce
            counted = mask if self.model.every_step else None
            loss = mean_loss(self.training.loss, form, outputs, y, counted)
        self._update(replica, tape.gradient(loss, self.variables[replica]), rate)
        return loss

    def _update(self, replica: int, gradients: list, rate: tf.Tensor) -> None:
        """Clip, decay, step: the order that all backends follow."""
        semantics, numbers = self.training.semantics, self.numbers[replica]
        if self.training.clip is not None:
            gradients = clip(gradients, self.training.clip, semantics)
        for i, (θ, g) in enumerate(zip(self.variables[replica], gradients, strict=True)):
            if numbers["weight_decay"]:
                g = decay(θ, g, rate, numbers["weight_decay"], semantics)
            slots = {slot: memory[replica][i] for slot, memory in self.slots.items()}
            UPDATE[self.training.optimizer](θ, g, slots, self.step, rate, numbers, semantics)

    @tf.autograph.experimental.do_not_convert
    def _outputs(self, x: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor:
        masks = [None] * self.replicas if mask is None else tf.unstack(mask)
        return tf.stack([self._call(r, x[r], masks[r]) for r in range(self.replicas)])

    def _call(self, replica: int, x: Any, mask: Any) -> Any:
        """`(B, T, F)`, `(B, T)` -> `(B, O)` or `(B, T, O)`."""
        layers = self.layers[replica]
        # cuDNN's kernels want padding at the end only, and have no twin on the CPU.
        cudnn = "auto" if mask is None and self.device == "cuda" else False
        with keras.StatelessScope(self._biases(replica)):
            for layer in layers[: self.model.layers]:
                layer.use_cudnn = cudnn
                x = layer(x, mask=mask)
            return layers[-1](x) if self.model.head == "dense" else x

    def _biases(self, replica: int) -> list[tuple[Any, tf.Tensor]]:
        """The recurrent layers' bias variables, each with the tensor that acts in its place."""
        if self.model.biases == ("double" if has_two_rows(self.model) else "single"):
            return []  # Keras' own
        trained = dict(zip(shapes(self.model), self.variables[replica], strict=True))
        pairs = []
        for index, layer in enumerate(self.layers[replica][: self.model.layers]):
            bias, second = (trained.get(f"rnn.{index}.{n}") for n in ("bias", "recurrent_bias"))
            pairs.append((layer.cell.bias, acting_bias(self.model, bias, second)))
        return pairs

    def _layers(self, steps: int) -> list[Any]:
        """The layers of one replica, built; only the last may return its last step alone."""
        model, dtype = self.model, self.training.precision
        options: dict[str, Any] = {"activation": model.activation, "dtype": dtype}
        options["unroll"] = steps <= UNROLLED_STEPS
        options |= {"reset_after": has_two_rows(model)} if model.cell == "gru" else {}
        kind = {"rnn": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM, "gru": keras.layers.GRU}
        layers: list[Any] = []
        for index in range(model.layers):
            every_step = model.every_step or index < model.layers - 1
            layer = kind[model.cell](model.units, return_sequences=every_step, **options)
            layer.build((None, steps, model.features if index == 0 else model.units))
            layers.append(layer)
        if model.head == "dense":
            head = keras.layers.Dense(model.outputs, dtype=dtype)
            head.build((None, model.units))
            layers.append(head)
        return layers

    def _variables(self, layers: list[Any]) -> list[tf.Variable]:
        """The trained variables of one replica in canonical order: the layers' own, and new ones
        where the trained biases are others than theirs."""
        own = {}
        for index, layer in enumerate(layers):
            prefix = f"rnn.{index}" if index < self.model.layers else "head"
            own |= {f"{prefix}.{v.name}": v.value for v in layer.trainable_variables}
        return [
            own[name]
            if name in own and own[name].shape == shape
            else tf.Variable(tf.zeros(shape, self.training.precision))
            for name, shape in shapes(self.model).items()
        ]

    def _memory(self) -> list[list[tf.Variable]]:
        """One memory of the optimiser, parallel to `self.variables`."""
        return [[tf.Variable(tf.zeros_like(θ)) for θ in own] for own in self.variables]

    def _scatter(self, variables: list[list[tf.Variable]], values: Params) -> None:
        for r, own in enumerate(variables):
            for variable, name in zip(own, shapes(self.model), strict=True):
                variable.assign(values[name][r])

    def _gather(self, variables: list[list[tf.Variable]]) -> Params:
        by_name = zip(shapes(self.model), zip(*variables, strict=True), strict=True)
        return {name: np.stack([v.numpy() for v in own]) for name, own in by_name}


def has_two_rows(model: ModelSpec) -> bool:
    """Whether the layer's bias is `(2, 3U)`, input side and recurrent side."""
    return model.cell == "gru" and model.reset == "after"


def acting_bias(model: ModelSpec, bias: Any, second: Any) -> Any:
    """What a layer's bias has to be, from the trained ones: their sum, or the two as rows."""
    if model.cell == "gru" and model.biases == "double":
        bias, second = tf.unstack(bias)
    elif model.biases == "candidate":
        second = tf.pad(second, [[2 * model.units, 0]])
    elif second is None:
        second = tf.zeros_like(bias)
    return tf.stack([bias, second]) if has_two_rows(model) else bias + second


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
    log.warning(
        "semantics.tf32=recurrent: TensorFlow has one switch for all products, so the head's are "
        "in TensorFloat-32 too."
    )
