"""A functional Keras model as tutorials have it, trained by `fit` with a validation split.

It saves what it did by its own means: the losses of each epoch, and its weights.
"""

import sys
from typing import Any

import keras
import numpy as np

keras.utils.set_random_seed(0)
keras.config.set_floatx("float64")
rng = np.random.default_rng(0)
x = rng.normal(size=(30, 5, 2))
y = x.sum((1, 2))[:, None]

inputs = keras.Input(shape=(5, 2))
hidden = keras.layers.LSTM(4)(inputs)
outputs = keras.layers.Dense(1)(hidden)
model: Any = keras.Model(inputs, outputs)
model.compile(optimizer=keras.optimizers.Adam(0.05, clipnorm=1.0), loss="mse")
first = model.get_weights()
stop = keras.callbacks.EarlyStopping(patience=3)
history = model.fit(x, y, 4, 2, callbacks=[stop], validation_split=0.2, verbose=2)
np.savez(
    sys.argv[1],
    x=x,
    y=y,
    epochs=history.history["loss"],
    weights=np.concatenate([w.ravel() for w in model.get_weights()]),
    first=np.concatenate([w.ravel() for w in first]),
    draw=np.random.rand(3),
)
