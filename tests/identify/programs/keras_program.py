"""Train by Keras with the recorder, in both precisions; the folder is the argument."""

import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np

from harness import recorder

folder = Path(sys.argv[1])
rng = np.random.default_rng(0)
x = rng.normal(size=(22, 5, 2))
y = x[:, :, 0].sum(1, keepdims=True)


def fit(name: str, layers: list[Any], optimizer: Any, loss: str, targets: Any) -> None:
    model = keras.Sequential([keras.Input((5, 2)), *layers])
    model.compile(optimizer, loss)
    record = recorder.keras(folder / f"{name}_{keras.config.floatx()}")
    quiet: Any = 0
    model.fit(x, targets, batch_size=8, epochs=6, verbose=quiet, callbacks=[record])


for precision in ("float64", "float32"):
    keras.config.set_floatx(precision)
    keras.config.set_dtype_policy(precision)
    keras.utils.set_random_seed(1)
    lstm = [keras.layers.LSTM(4), keras.layers.Dense(1)]
    fit("lstm", lstm, keras.optimizers.Adam(0.01), "mse", y)
    rate: Any = keras.optimizers.schedules.ExponentialDecay(0.05, 3, 0.7)
    sgd = keras.optimizers.SGD(rate, momentum=0.9, clipnorm=0.3)
    fit("gru", [keras.layers.GRU(4), keras.layers.Dense(1)], sgd, "mse", y)
    relu = [keras.layers.SimpleRNN(4, "relu"), keras.layers.Dense(1, "sigmoid")]
    fit("labels", relu, keras.optimizers.RMSprop(0.01), "binary_crossentropy", y > 0)
    nadam = [keras.layers.LSTM(4), keras.layers.Dense(1)]
    fit("nadam", nadam, keras.optimizers.Nadam(0.01), "mse", y)
