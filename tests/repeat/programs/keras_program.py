"""Train by Keras with the recorder, some samples being for validation; the folder is the argument.

Labels, short last batches, and a training that stops within an epoch.
"""

import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import keras
import numpy as np

from harness import recorder

folder = Path(sys.argv[1])
rng = np.random.default_rng(0)
x = rng.normal(size=(30, 5, 2))
y = x[:, :, 0].sum(1, keepdims=True)
dense = keras.layers.Dense


class Stop(keras.callbacks.Callback):
    """Ends the training in its third epoch, after two steps."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if (self.epoch, batch) == (2, 1):
            raise InterruptedError


def fit(name: str, layers: Any, optimizer: Any, loss: str, targets: Any, *callbacks: Any) -> None:
    model = keras.Sequential([keras.Input((5, 2)), *layers])
    model.compile(optimizer, loss)
    record = recorder.keras(folder / f"{name}_{keras.config.floatx()}")
    quiet: Any = 0
    settings: Any = {"batch_size": 8, "epochs": 5, "validation_split": 0.25, "verbose": quiet}
    with suppress(InterruptedError):
        model.fit(x, targets, callbacks=[record, *callbacks], **settings)


for precision in ("float64", "float32"):
    keras.config.set_floatx(precision)
    keras.config.set_dtype_policy(precision)
    keras.utils.set_random_seed(1)
    lstm = [keras.layers.LSTM(4), dense(1, "sigmoid")]
    fit("labels", lstm, keras.optimizers.Adam(0.01), "binary_crossentropy", y > 0)
    rate: Any = keras.optimizers.schedules.ExponentialDecay(0.05, 3, 0.7)
    sgd = keras.optimizers.SGD(rate, momentum=0.9, clipnorm=0.3)
    fit("stopped", [keras.layers.GRU(4), dense(1)], sgd, "mse", y, Stop())
