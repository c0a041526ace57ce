"""Train by Keras' fit with the recorder. Arguments: a file of weights and data, and the folder."""

import sys
from typing import Any

import keras
import numpy as np

from harness import recorder

keras.config.set_floatx("float64")
keras.config.set_dtype_policy("float64")
given = np.load(sys.argv[1])
model = keras.Sequential([keras.Input((5, 2)), keras.layers.LSTM(4), keras.layers.Dense(1)])
model.set_weights([given[name] for name in ("kernel", "recurrent", "bias", "head", "head_bias")])
model.compile(keras.optimizers.Adam(0.02), "mse")
settings: dict[str, Any] = {"batch_size": 8, "epochs": 6, "shuffle": False, "verbose": 0}
record = recorder.keras(sys.argv[2])
model.fit(given["x"], given["y"], callbacks=[record], **settings)
