"""Keras 3 on TensorFlow: `keras.layers` and `keras.optimizers`, one stack of layers per replica.

The whole epoch is one `tf.function`, since most of the time of `model.fit` on a small network goes
into calling it. Keras' optimisers keep the learning rate in float32 and state other rules than
ours, so each is subclassed with the stated update; layout and gate order are canonical already.
"""

import logging
import os
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

    for gpu in tf.config.list_physical_devices("GPU"):  # at the first call it misses drivers aloud
        tf.config.experimental.set_memory_growth(gpu, True)  # leave room for other jobs' frameworks
tf.get_logger().setLevel("ERROR")  # warns of retracing whenever a process trains several networks

Array = np.ndarray
log = logging.getLogger(__name__)

UNROLLED_STEPS = 32  # up to this length the loop over time is unrolled: faster, slower to compile

PLACES = {"cpu": "/CPU:0", "cuda": "/GPU:0"}


class AtRate:
    """An optimiser whose learning rate comes with each update, in the variables' precision."""

    def update(
        self, gradients: list, variables: list, rate: tf.Tensor, decay: float, limit: float | None
    ) -> None:
        """Clip, decay, step."""
        self.rate = rate
        if limit is not None:
            gradients = clip(gradients, limit)
        if decay:
            for variable in variables:
                variable.assign_sub(variable * decay * rate)
        self.apply(gradients, variables)  # type: ignore[attr-defined]


def clip(gradients: list, limit: float) -> list:
    """Scale so that the norm over all is at most `limit`. Keras' own takes the norm in float32,
    which overflows just where clipping is needed."""
    squares = [tf.reduce_sum(tf.cast(g, tf.float64) ** 2) for g in gradients]
    norm = tf.sqrt(tf.add_n(squares))
    factor = tf.where(norm > limit, limit / norm, tf.ones_like(norm))
    return [g * tf.cast(factor, g.dtype) for g in gradients]


class Sgd(AtRate, keras.optimizers.SGD):
    """v ← μ·v + g; θ ← θ − lr·v. Keras keeps lr inside v, which differs under a schedule.

    `remembers` asks for a velocity even where this replica's μ is 0, if another replica has one.
    """

    def __init__(self, remembers: bool, **options: Any) -> None:
        super().__init__(**options)
        self.remembers = remembers

    def build(self, variables):
        super().build(variables)
        if self.remembers and not self.momentums:
            self.momentums = self.add_optimizer_variables(variables, "momentum")

    def update_step(self, gradient, variable, learning_rate):
        if not self.remembers:
            variable.assign_sub(self.rate * gradient)
            return
        v = self.momentums[self._get_variable_index(variable)]
        v.assign(self.momentum * v + gradient)
        variable.assign_sub(self.rate * (gradient + self.momentum * v if self.nesterov else v))


class Adam(AtRate, keras.optimizers.Adam):
    """θ ← θ − lr·m̂ / (√v̂ + ε). Keras adds its ε to √v before the correction."""

    def update_step(self, gradient, variable, learning_rate):
        m = self._momentums[self._get_variable_index(variable)]
        v = self._velocities[self._get_variable_index(variable)]
        iterations: Any = self.iterations
        t = tf.cast(iterations.value + 1, tf.float64)
        correction_1 = tf.cast(1 - tf.constant(self.beta_1, tf.float64) ** t, variable.dtype)
        correction_2 = tf.cast(1 - tf.constant(self.beta_2, tf.float64) ** t, variable.dtype)
        m.assign_add((gradient - m) * (1 - self.beta_1))
        v.assign_add((tf.square(gradient) - v) * (1 - self.beta_2))
        root = tf.sqrt(v.value) / tf.sqrt(correction_2)
        variable.assign_sub(self.rate / correction_1 * m / (root + self.epsilon))


class RmsProp(AtRate, keras.optimizers.RMSprop):
    """θ ← θ − lr·g / (√v + ε). Keras adds its ε under the root."""

    def update_step(self, gradient, variable, learning_rate):
        v = self._velocities[self._get_variable_index(variable)]
        v.assign_add((tf.square(gradient) - v) * (1 - self.rho))
        variable.assign_sub(self.rate * gradient / (tf.sqrt(v.value) + self.epsilon))


class KerasBackend:
    """See `backends.Backend`."""

    def __init__(self, model: ModelSpec, training: TrainingSpec, data: Data, state: State) -> None:
        set_threads(training.threads)
        tf.config.experimental.enable_tensor_float_32_execution(False)
        self.device = choose_device(training.device)
        self.model, self.training = model, training
        self.replicas = len(state.params["rnn.0.kernel"])
        with tf.device(PLACES[self.device]):
            self.x = tf.constant(data.x, training.precision)
            self.y = tf.constant(data.y, training.precision)
            self.layers = [self._layers(data.x.shape[2]) for _ in range(self.replicas)]
            self.variables = [
                [v for layer in layers for v in layer.trainable_variables] for layers in self.layers
            ]
            self.optimizers = [self._optimizer(r) for r in range(self.replicas)]
            self._load(state)
        rows = tf.TensorSpec((None, self.replicas, None), tf.int32)
        rates = tf.TensorSpec((None, self.replicas), training.precision)
        self._epoch = tf.function(self._train, input_signature=[rows, rates])
        self._predict = tf.function(self._outputs)

    def train_epoch(self, batches: Array, lr: Array) -> Array:
        with tf.device(PLACES[self.device]):
            rows = tf.constant(batches, tf.int32)
            losses = self._epoch(rows, tf.constant(lr, self.training.precision))
        return losses.numpy().astype(np.float64)

    def predict(self, x: Array) -> Array:
        steps, features = x.shape[2:]
        spec = tf.TensorSpec((self.replicas, None, steps, features), self.training.precision)
        with tf.device(PLACES[self.device]):
            outputs = self._predict.get_concrete_function(spec)  # compiled once for any N
            inputs = np.broadcast_to(x, (self.replicas, *x.shape[1:]))
            return outputs(tf.constant(inputs, self.training.precision)).numpy()

    def state(self) -> State:
        slots = {slot: self._gather(kept) for slot, kept in self._slots().items()}
        return State(self._gather(self.variables), slots, int(self.optimizers[0].iterations))

    def _train(self, rows: tf.Tensor, rates: tf.Tensor) -> tf.Tensor:
        """All updates of an epoch: `rows` `(S, R, B)`, `rates` `(S, R)` -> losses `(S, R)`."""
        steps = tf.shape(rows)[0]
        losses = tf.TensorArray(rates.dtype, size=steps, element_shape=(self.replicas,))
        for s in tf.range(steps):
            step = [self._step(r, rows[s, r], rates[s, r]) for r in range(self.replicas)]
            losses = losses.write(s, tf.stack(step))
        return losses.stack()

    def _step(self, replica: int, rows: tf.Tensor, rate: tf.Tensor) -> tf.Tensor:
        x = tf.gather(self.x[replica % len(self.x)], rows)  # data that all share has one row
        y = tf.gather(self.y[replica % len(self.y)], rows)
        variables = self.variables[replica]
        with tf.GradientTape() as tape:
            loss = self._loss(self._call(replica, x), y)
        gradients = tape.gradient(loss, [v.value for v in variables])
        decay = self.training.numbers["weight_decay"]
        decay = float(decay[replica % len(decay)])
        limit = self.training.clip_norm
        self.optimizers[replica].update(gradients, variables, rate, decay, limit)
        return loss

    def _loss(self, outputs: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        """The mean over samples, steps and outputs; cross-entropy from logits."""
        if self.training.loss == "mse":
            return tf.reduce_mean(tf.square(outputs - y))
        return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=y, logits=outputs))

    def _call(self, replica: int, x: tf.Tensor) -> tf.Tensor:
        """`(B, T, F)` -> `(B, O)` or `(B, T, O)`."""
        for layer in self.layers[replica]:
            x = layer(x)
        return x

    def _outputs(self, x: tf.Tensor) -> tf.Tensor:
        return tf.stack([self._call(r, x[r]) for r in range(self.replicas)])

    def _layers(self, steps: int) -> list[keras.Layer]:
        """The layers of one replica, built; only the last may return its last step alone."""
        model, dtype = self.model, self.training.precision
        kind = {"rnn": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM, "gru": keras.layers.GRU}
        layers: list[keras.Layer] = []
        for index in range(model.layers):
            every_step = model.every_step or index < model.layers - 1
            layer = kind[model.cell](
                model.units,
                activation=model.activation,
                return_sequences=every_step,
                unroll=steps <= UNROLLED_STEPS,
                dtype=dtype,
            )
            layer.build((None, steps, model.features if index == 0 else model.units))
            layers.append(layer)
        if model.head == "dense":
            head = keras.layers.Dense(model.outputs, dtype=dtype)
            head.build((None, model.units))
            layers.append(head)
        return layers

    def _optimizer(self, replica: int) -> Any:
        """This replica's optimiser with its own numbers, built on its variables."""
        numbers = {k: float(v[replica % len(v)]) for k, v in self.training.numbers.items()}
        semantics = self.training.semantics
        if self.training.optimizer == "sgd":
            optimizer = Sgd(
                remembers=bool(self.training.numbers["momentum"].any()),
                momentum=numbers["momentum"],
                nesterov=self.training.nesterov,
            )
        elif self.training.optimizer == "adam":
            beta_1, beta_2, epsilon = numbers["beta1"], numbers["beta2"], semantics.adam_eps
            optimizer = Adam(beta_1=beta_1, beta_2=beta_2, epsilon=epsilon)
        else:
            rho, epsilon = numbers["rho"], semantics.rmsprop_eps
            optimizer = RmsProp(rho=rho, epsilon=epsilon)
        optimizer.build(self.variables[replica])
        return optimizer

    def _slots(self) -> dict[str, list[list[keras.Variable]]]:
        """Canonical slot name -> each replica's memory, parallel to `self.variables`."""
        if self.training.optimizer == "sgd":
            remembers = self.training.numbers["momentum"].any()
            return {"velocity": [o.momentums for o in self.optimizers]} if remembers else {}
        slots = {"v": [o._velocities for o in self.optimizers]}
        if self.training.optimizer == "adam":
            slots["m"] = [o._momentums for o in self.optimizers]
        return slots

    def _load(self, state: State) -> None:
        self._scatter(self.variables, state.params)
        for slot, kept in self._slots().items():
            self._scatter(kept, state.slots[slot])
        for optimizer in self.optimizers:
            optimizer.iterations.assign(state.step)

    def _scatter(self, variables: list[list[keras.Variable]], values: Params) -> None:
        for r, own in enumerate(variables):
            for variable, name in zip(own, shapes(self.model), strict=True):
                variable.assign(values[name][r])

    def _gather(self, variables: list[list[keras.Variable]]) -> Params:
        by_name = zip(shapes(self.model), zip(*variables, strict=True), strict=True)
        return {name: np.stack([v.numpy() for v in own]) for name, own in by_name}


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
