"""TensorFlow Lite's basic RNN with relu, `tflite_basic_rnn.json` (source within), its test
`BlackBoxTest`: 16 steps of 8 random features, 16 units, random input weights and biases.

What it cannot see: its recurrent weights are 0.1 times the identity, so a transposed recurrent
kernel shows nothing; its golden output has six digits.
"""

import json
from pathlib import Path

import numpy as np

from backends import Backend
from backends.numpy_backend import NumpyBackend
from tests.vectors.layer import states

VALUES = json.loads(Path(__file__).with_name("tflite_basic_rnn.json").read_text())
SIX_DIGITS = 1e-5  # of numbers up to 3.6


def error(backend: type[Backend], activation: str = "relu") -> float:
    W, b = np.array(VALUES["weights"]).T, np.array(VALUES["bias"])
    weights = (W, 0.1 * np.eye(16), np.stack([b, np.zeros(16)]))
    x = np.array([VALUES["input"]])
    ours = states(backend, "rnn", weights, x, activation=activation)
    return float(np.abs(ours[0] - VALUES["output"]).max())


def test_every_backend_repeats_it(backend: type[Backend]) -> None:
    assert error(backend) < SIX_DIGITS


def test_another_activation_shows() -> None:
    assert error(NumpyBackend, "tanh") > 0.1
