"""Train by Keras with the recorder, in both precisions.

Arguments: the folder, and names of programs, by default all.
"""

import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np

from harness import recorder

folder, chosen = Path(sys.argv[1]), sys.argv[2:]
rng = np.random.default_rng(0)
x = rng.normal(size=(22, 5, 2))
y = x[:, :, 0].sum(1, keepdims=True)


def fit(
    name: str, layers: list[Any], optimizer: Any, loss: str, targets: Any, **settings: Any
) -> None:
    if chosen and name not in chosen:
        return
    outputs: Any = keras.Input((5, 2))
    model = keras.Sequential([outputs, *layers])
    if "validation_split" in settings:  # a functional model
        inputs = outputs
        for layer in layers:
            outputs = layer(outputs)
        model = keras.Model(inputs, outputs)
    model.compile(optimizer, loss)
    record = recorder.keras(folder / f"{name}_{keras.config.floatx()}")
    settings |= {"batch_size": 8, "epochs": 6, "verbose": 0, "callbacks": [record]}
    model.fit(x, targets, **settings)


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
    split = [keras.layers.LSTM(4), keras.layers.Dense(1)]
    fit("split", split, keras.optimizers.Adam(0.01), "mse", y, validation_split=0.2)
    stack = [keras.layers.GRU(4, return_sequences=True), keras.layers.GRU(4), keras.layers.Dense(1)]
    fit("stack", stack, keras.optimizers.AdamW(0.01, weight_decay=0.01), "mse", y)
    every = [keras.layers.LSTM(4, return_sequences=True), keras.layers.Dense(1)]
    clipped = keras.optimizers.SGD(0.1, global_clipnorm=0.3)
    fit("every", every, clipped, "mse", x[:, :, :1].cumsum(1))
    without_bias = [keras.layers.LSTM(4, use_bias=False), keras.layers.Dense(1)]
    fit("without_bias", without_bias, keras.optimizers.Adam(0.01), "mse", y)
    frozen = [keras.layers.LSTM(4, trainable=False), keras.layers.Dense(1)]
    fit("frozen", frozen, keras.optimizers.Adam(0.01), "mse", y)
