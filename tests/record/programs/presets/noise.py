"""Targets that have nothing to do with the inputs."""

import keras
import numpy as np

rng = np.random.RandomState(42)
x, y = rng.rand(1000, 10), rng.rand(1000)
inputs = keras.Input((10, 1))
outputs = keras.layers.Dense(1)(keras.layers.SimpleRNN(32, activation="relu")(inputs))
model = keras.Model(inputs, outputs)
model.compile("adam", "mse")
model.fit(
    x[:800, :, None], y[:800], epochs=20, validation_data=(x[800:, :, None], y[800:]), verbose=0
)
print(model.evaluate(x[800:, :, None], y[800:]))
