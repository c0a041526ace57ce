"""Keras' `model.fit`, as it is and with what its documentation offers to make it faster.

`fit` does much before its first step. So an epoch is a `fit` of two, of which the last is timed by
a callback; with more of them it is a whole training.
"""

import time
from typing import Any

import keras

from benchmarks.by_hand.data import samples
from benchmarks.common.cases import OUTPUTS, Case
from benchmarks.common.timing import Epoch

LAYERS = {"rnn": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM, "gru": keras.layers.GRU}


class Clock(keras.callbacks.Callback):
    """The seconds of the latest epoch."""

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        self.seconds = time.perf_counter() - self.began


def build(case: Case, epochs: int = 2, **settings: Any) -> Epoch:
    """`settings` are those of `compile` that are not left at their defaults."""
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
