"""Train by Keras as a user would, with the recorder and without; the folder is the argument."""

import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np

from harness import recorder

folder = Path(sys.argv[1])
rng = np.random.default_rng(0)
x, y = rng.normal(size=(14, 3, 2)), rng.normal(size=(14, 1))


def fit(name, layers, optimizer, record, more=(), repeats=1, **settings):
    """Train; return the final weights in one array."""
    keras.utils.set_random_seed(5)
    model = keras.Sequential([keras.Input((3, 2)), *layers()])
    model.compile(optimizer(), loss="mse")
    settings["callbacks"] = [recorder.keras(folder / name), *more] if record else list(more)
    original = model.make_train_function() or model.train_function
    try:
        settings |= {"batch_size": 4 * repeats, "epochs": 3, "verbose": 0}
        model.fit(np.tile(x, (repeats, 1, 1)), np.tile(y, (repeats, 1)), **settings)
    except KeyboardInterrupt:
        print("interrupted")
    assert model.train_function is original
    return np.concatenate([np.ravel(weights) for weights in model.get_weights()])


class Stop(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if batch == 1:
            raise KeyboardInterrupt


def linear():
    return [keras.layers.Flatten(), keras.layers.Dense(1)]


def recurrent():
    return [keras.layers.LSTM(5), keras.layers.Dense(1)]


def simple():
    return [keras.layers.SimpleRNN(16), keras.layers.Dense(8, "tanh"), keras.layers.Dense(1)]


def dropping():
    return [keras.layers.LSTM(5), keras.layers.Dropout(0.5), keras.layers.Dense(1)]


def sgd():
    return keras.optimizers.SGD(0.05)


def decaying():
    rate: Any = keras.optimizers.schedules.ExponentialDecay(0.02, 1, 0.5)
    return keras.optimizers.Adam(rate)


class Unbuilt(keras.Model):
    def __init__(self):
        super().__init__()
        self.rnn = keras.layers.GRU(3)
        self.dropout = keras.layers.Dropout(0.5)
        self.dense = keras.layers.Dense(1)

    def call(self, inputs):
        return self.dense(self.dropout(self.rnn(inputs)))


equal = {}
for name, layers, optimizer in (
    ("recurrent", recurrent, decaying),
    ("dropout", dropping, sgd),
):
    equal[name] = [fit(name, layers, optimizer, record) for record in (False, True)]
equal["simple"] = [fit("simple", simple, decaying, record, repeats=15) for record in (False, True)]
fit("split", linear, sgd, True, validation_split=0.3, shuffle=False)
equal["unbuilt"] = []
for callbacks in ([], [recorder.keras(folder / "unbuilt")]):
    keras.utils.set_random_seed(5)
    model: Any = Unbuilt()
    model.compile("sgd", "mse")
    model.fit(x, y, 4, 2, callbacks=callbacks, verbose=0)
    equal["unbuilt"].append(np.concatenate([np.ravel(w) for w in model.get_weights()]))
model = keras.Sequential([keras.Input((3, 2)), keras.layers.Flatten()])
model.compile("sgd", "mse")
try:
    model.fit(x, x.reshape(14, 6), callbacks=[recorder.keras(folder / "no_weights")])
except ValueError as error:
    print(error)
keras.config.set_floatx("float64")
keras.config.set_dtype_policy("float64")
equal["linear"] = [fit("linear", linear, sgd, record) for record in (False, True)]
fit("interrupted", linear, sgd, True, [Stop()])
np.savez(folder / "weights.npz", **equal)
