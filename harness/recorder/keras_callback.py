"""Keras: a callback that records one `fit`, with the batches that `fit` hides from callbacks."""

from __future__ import annotations

import inspect
import weakref
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import keras
import numpy as np

from harness.core.errors import ConfigError
from harness.recorder.keras_batches import build, on_several_devices, samples_of, watch
from harness.recorder.keras_facts import note_rules, seeds, stated
from harness.recorder.rows import as_numpy
from harness.recorder.running_mean import RunningMean
from harness.recorder.writer import Writer


class KerasRecorder(keras.callbacks.Callback):
    """The callback; the recording is written when `fit` ends, also by an exception."""

    def __init__(self, folder: str | Path) -> None:
        super().__init__()
        self._writer = Writer(folder, "keras", ["keras", "tensorflow", "torch", "jax"])
        self._finish: Callable[[], Any] | None = None  # once `fit` has begun
        self._unwatch: Callable[[], object] = lambda: None
        self._batches: deque[list[int] | None] = deque()  # that were seen, and have no step yet
        self._epoch = 0
        self._steps = 0  # of the optimizer

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Record what is known before the first step, and watch the batches from now on."""
        if self._finish is not None:
            raise ConfigError(
                f"{self._writer.folder}: has the recording of a fit; make another recorder for the "
                "next."
            )
        model: Any = self.model
        called = _fit_variables()
        if on_several_devices(model):
            self._refuse("a training spread over devices cannot be recorded; use one device")
        if not model.weights and not build(model, called.get("epoch_iterator")):
            self._refuse("the model has no weights; call it before fit, as in model(x[:1])")
        self._writer.initial = {
            path: as_numpy(keras.ops.convert_to_numpy(variable)).copy()
            for path, variable in _by_path(model).items()
        }
        self._writer.stated = stated(model, called, self._writer.note)
        note_rules(model, self._writer.note)
        self._steps = int(model.optimizer.iterations)
        self._mean = RunningMean(_loss_precision(model))
        if model.steps_per_execution == 1:
            iterator = called.get("epoch_iterator")
            self._unwatch = watch(model, iterator, self._look, self._writer.note)
        # Keras' list of callbacks lives as long as `fit`, however that ends.
        self._finish = weakref.finalize(called.get("callbacks", self), self._end)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Begin an epoch, whose running means begin anew."""
        self._epoch = epoch
        self._mean = RunningMean(self._mean.precision)

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Note the learning rate that the step will have."""
        model: Any = self.model
        self._seeds = seeds(model)
        self._rate = float(model.optimizer.learning_rate)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Record a step, or those of one execution if Keras carries out several at once."""
        model: Any = self.model
        steps = int(model.optimizer.iterations)
        if model.steps_per_execution != 1:
            for _ in range(steps - self._steps):
                self._writer.add_step(epochs=self._epoch)
        else:
            values: dict[str, Any] = {"epochs": self._epoch, "learning_rates": [self._rate]}
            numbers = self._batches.popleft() if self._batches else None
            mean = (logs or {}).get("loss")
            if numbers is not None and mean is not None:
                losses = self._mean.last(float(mean), len(numbers))
                values["losses"], values["loss_errors"] = losses
            values["batches"] = numbers
            self._writer.add_step(**values)
        self._steps = steps
        if any(not np.array_equal(*pair) for pair in zip(seeds(model), self._seeds, strict=True)):
            self._writer.note("training draws random numbers (dropout), which are not recorded")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Record what Keras logs of the epoch."""
        self._writer.epoch_logs.append({"epoch": epoch, **(logs or {})})

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Write the recording."""
        assert self._finish is not None
        self._finish()

    def _look(self, data: Any) -> None:
        samples = samples_of(data)
        if isinstance(samples, str):
            self._writer.note(samples)
            self._batches.append(None)
        else:
            self._batches.append(self._writer.rows.add(samples))

    def _refuse(self, reason: str) -> NoReturn:
        self._writer.give_up()
        raise ConfigError(f"{self._writer.folder}: {reason}.")

    def _end(self) -> None:
        self._unwatch()
        self._writer.write()


def _fit_variables() -> dict[str, Any]:
    """Return the variables of Keras' `fit`, which is what calls; empty if there is none."""
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code.co_name == "fit" and "epoch_iterator" in frame.f_locals:
            return dict(frame.f_locals)
        frame = frame.f_back
    return {}


def _by_path(model: Any) -> dict[str, Any]:
    """Return the model's weights by Keras' paths; a path that occurs again gets a number."""
    weights: dict[str, Any] = {}
    for variable in model.weights:
        again = sum(path.partition("#")[0] == variable.path for path in weights)
        weights[f"{variable.path}#{again + 1}" if again else variable.path] = variable
    return weights


def _loss_precision(model: Any) -> float:
    """Return the rounding of the running mean that Keras logs, such as 1.2e-7 in float32.

    Keras divides sums in float32 with PyTorch, whatever the precision of the training. JAX has no
    float64 unless that is enabled, whatever Keras calls its variables, so their arrays are asked.
    """
    if keras.backend.backend() == "torch":
        return float(np.finfo(np.float32).eps)
    means = [metric for metric in model.metrics if metric.name == "loss" and metric.variables]
    dtypes = [np.asarray(keras.ops.convert_to_numpy(m.variables[0])).dtype for m in means]
    return float(np.finfo(dtypes[0] if dtypes else keras.config.floatx()).eps)
