"""Keras' `model.fit`, with defaults or with the settings that its documentation offers for speed.

`fit` does much work before its first step. So an epoch is a `fit` of two epochs, and a callback
times the second; with more epochs it is a whole training, and the last is timed.
"""

import time
from typing import Any

import keras

from benchmarks.by_hand.data import samples
from benchmarks.common.cases import OUTPUTS, Case
from benchmarks.common.timing import Epoch

LAYERS = {"rnn": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM, "gru": keras.layers.GRU}


class Clock(keras.callbacks.Callback):
    """A callback that times the latest epoch, in seconds."""

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        self.seconds = time.perf_counter() - self.began


def build(case: Case, epochs: int = 2, **settings: Any) -> Epoch:
    """Return an epoch of `fit`; `settings` are arguments of `compile`."""
    x, y = samples(case)
    model = keras.Sequential(
        [keras.Input(x.shape[1:]), LAYERS[case.cell](case.units), keras.layers.Dense(OUTPUTS)]
    )
    model.compile(optimizer="adam", loss="mse", **settings)
    quietly: Any = {"verbose": 0}

    def epoch() -> float:
        clock = Clock()
        model.fit(x, y, batch_size=case.batch, epochs=epochs, callbacks=[clock], **quietly)
        return clock.seconds

    return epoch
