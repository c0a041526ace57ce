"""`from_keras`: a file that Keras wrote gives, as read, the outputs that Keras gives."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from harness.core.layer_weights import per_gate
from harness.core.tolerances import LIMITS
from harness.formats.own_process import outputs_of
from harness.formats.reference import distance, random_inputs, reference
from harness.formats.trained_network import Network
from harness.readers.foreign_network import ForeignNetwork, Stated
from harness.readers.keras_files.from_keras import read
from tests.support.keras_files import randomised, save, sequential

pytestmark = [
    pytest.mark.slow,
    # Keras 3.15 on TensorFlow reads its variables in a way that NumPy 2 has deprecated.
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword"),
]
Layers = Callable[[Any], list[Any]]

# What a model is made of, and how its title begins.
CASES: dict[str, tuple[Layers, str]] = {
    "simple": (
        lambda L: [L.SimpleRNN(4), L.Dense(2)],
        "SimpleRNN layer of 4 units, then a dense layer with 2 outputs",
    ),
    "relu": (
        lambda L: [L.SimpleRNN(4, activation="relu", return_sequences=True)],
        "SimpleRNN layer of 4 units (relu)",
    ),
    "lstm": (
        lambda L: [
            L.LSTM(4, return_sequences=True, dropout=0.2),
            L.Dropout(0.5),
            L.LSTM(4, name="b"),
            L.Dense(1),
            L.Activation("sigmoid"),
        ],
        "2 LSTM layers of 4 units, then a dense layer with 1 output and a sigmoid",
    ),
    "sigmoid": (
        lambda L: [L.LSTM(4, use_bias=False), L.Dense(1, "sigmoid", use_bias=False)],
        "LSTM layer of 4 units, then a dense layer with 1 output and a sigmoid",
    ),
    "no head": (
        lambda L: [L.LSTM(4), L.Activation("sigmoid")],
        "LSTM layer of 4 units and a sigmoid",
    ),
    "gru": (
        lambda L: [L.GRU(4, return_sequences=True), L.GRU(4, return_sequences=True), L.Dense(2)],
        "2 GRU layers of 4 units, then a dense layer with 2 outputs",
    ),
    "before": (
        lambda L: [L.GRU(4, reset_after=False), L.Dense(1)],
        "GRU layer of 4 units (reset gate before the product), then a dense layer with 1 output",
    ),
    "gru without biases": (
        lambda L: [L.GRU(4, use_bias=False, return_sequences=True), L.TimeDistributed(L.Dense(1))],
        "GRU layer of 4 units, then a dense layer with 1 output",
    ),
    "before without biases": (
        lambda L: [L.GRU(4, use_bias=False, reset_after=False)],
        "GRU layer of 4 units (reset gate before the product)",
    ),
    "simple cell": (
        lambda L: [L.RNN(L.SimpleRNNCell(4, activation="relu"), return_sequences=True), L.Dense(1)],
        "SimpleRNN layer of 4 units (relu), then a dense layer with 1 output",
    ),
    "lstm cells": (lambda L: [L.RNN([L.LSTMCell(4), L.LSTMCell(4)])], "2 LSTM layers of 4 units"),
    "gru cell": (lambda L: [L.RNN(L.GRUCell(4))], "GRU layer of 4 units"),
    "eleven": (
        lambda L: [L.SimpleRNN(3, return_sequences=True) for _ in range(11)] + [L.Dense(1)],
        "11 SimpleRNN layers of 3 units, then a dense layer with 1 output",
    ),
}


def stated_for(network: Network) -> Stated:
    """All that a file of arrays alone does not say of a network."""
    model = network.model
    return Stated(
        activation=model.activation if model.cell == "rnn" else None,
        reset=model.reset if model.cell == "gru" else None,
        returns=model.returns,
        outputs="probabilities" if network.loss == "bce" else "values",
    )


def worst(found: ForeignNetwork) -> float:
    """The largest distance between Keras' outputs, by `usage`, and the reference's."""
    distances: list[float] = []
    for x in random_inputs(found.network):
        names: dict[str, Any] = {"x": x}
        exec(found.usage, names)
        expected = reference(found.network, x)
        assert names["y"].shape == expected.shape
        distances.append(distance(found.network, names["y"], expected))
    return max(distances)


@pytest.fixture(autouse=True)
def _usual_precision() -> Any:
    import keras

    yield
    keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_computes_what_keras_computes(name: str, dtype: str, tmp_path: Path) -> None:
    import keras

    keras.config.set_dtype_policy(dtype)
    model = sequential(CASES[name][0](keras.layers), dtype)
    found = read(save(model, tmp_path / "m.keras"), Stated())
    assert found.network.precision == dtype
    assert found.network.title.startswith(CASES[name][1])
    assert worst(found) <= LIMITS[dtype].forward
    alone = read(save(model, tmp_path / "m.weights.h5"), stated_for(found.network))
    assert alone.network.model == found.network.model
    assert alone.network.loss == found.network.loss
    for key, value in found.network.weights.items():
        assert np.array_equal(alone.network.weights[key], value), key
    assert worst(alone) <= LIMITS[dtype].forward


def test_functional_models_and_options_that_do_nothing(tmp_path: Path) -> None:
    import keras

    L = keras.layers
    inputs = keras.Input((7, 3), batch_size=2)
    first = L.LSTM(4, return_sequences=True, stateful=True, recurrent_dropout=0.1, name="first")
    middle = L.Dropout(0.3, name="idle")(first(inputs))
    outputs = L.Dense(1, "sigmoid")(L.LSTM(4, unroll=True, name="second")(middle))
    model = randomised(keras.Model(inputs, outputs))
    found = read(save(model, tmp_path / "m.keras"), Stated())
    assert worst(found) <= LIMITS["float32"].forward
    assert found.notes == [
        "Does nothing at inference: idle.",
        "first: Keras keeps its states from batch to batch; here each sequence starts at zeros.",
        "first: its recurrent dropout does nothing at inference.",
        "second: Keras unrolls it for one number of steps; here it takes any number.",
    ]


def test_a_model_that_was_built_by_its_first_use(tmp_path: Path) -> None:
    import keras

    L = keras.layers
    model = keras.Sequential([L.LSTM(4, return_sequences=True), L.Dense(2)])
    x = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")
    model(x)
    found = read(save(randomised(model), tmp_path / "m.keras"), Stated())
    assert worst(found) <= LIMITS["float32"].forward
    expected = reference(found.network, x)
    assert distance(found.network, np.asarray(model(x)), expected) <= LIMITS["float32"].forward


def test_biases_that_the_file_has_not_are_named(tmp_path: Path) -> None:
    import keras

    L = keras.layers
    model = sequential([L.GRU(4, use_bias=False), L.Dense(1)])
    found = read(save(model, tmp_path / "m.keras"), Stated())
    assert found.notes == [
        "Has no rnn.0.bias: zeros stand there, 24 parameters more than the file's, which training "
        "changes."
    ]
    assert found.network.weights["rnn.0.bias"].shape == (2, 12)
    assert not found.network.weights["rnn.0.bias"].any()


@pytest.mark.parametrize("policy", ["float16", "bfloat16", "mixed_float16", "mixed_bfloat16"])
def test_half_precision_becomes_float32(policy: str, tmp_path: Path) -> None:
    import keras

    L = keras.layers
    keras.config.set_dtype_policy(policy)
    cell = L.GRUCell(4, recurrent_initializer="zeros")  # TensorFlow has no other in bfloat16
    dtype = policy.removeprefix("mixed_")
    model = sequential([L.RNN(cell, return_sequences=True), L.Dense(1)], dtype)
    keras.config.set_dtype_policy("float32")
    found = read(save(model, tmp_path / "m.keras"), Stated())
    assert found.network.precision == "float32"
    assert found.notes == ["Computes in half precision in Keras, and in float32 here."]
    assert worst(found) <= LIMITS["float32"].forward
    alone = read(save(model, tmp_path / "m.weights.h5"), stated_for(found.network))
    assert worst(alone) <= LIMITS["float32"].forward
    kernel = "rnn.0.kernel"
    assert np.array_equal(found.network.weights[kernel], alone.network.weights[kernel])
    assert np.array_equal(found.network.weights[kernel], np.array(model.get_weights()[0], "f4"))


def test_parts_of_a_larger_model(tmp_path: Path) -> None:
    import keras

    L = keras.layers
    inputs = keras.Input((None, 3))
    wide = L.Dense(5, "relu", name="encoder")(inputs)
    states = L.LSTM(4, return_sequences=True, name="first")(wide)
    states = L.LSTM(4, name="second")(states)
    heads = [L.Dense(2, name="mean")(states), L.Dense(1, name="rate")(states)]
    model = randomised(keras.Model(inputs, [*heads, L.GRU(4, name="other")(inputs)]))
    path = save(model, tmp_path / "m.keras")
    for head, outputs in (("mean", 2), ("rate", 1), ("none", 4)):
        found = read(path, Stated(only="first", head=head))
        assert (found.network.model.features, found.network.model.outputs) == (5, outputs)
        assert worst(found) <= LIMITS["float32"].forward
        left = ["encoder", *({"mean", "rate"} - {head}), "other"]
        assert sorted(found.notes[0][:-1].split(": ")[1].split(", ")) == sorted(left)


def test_a_subclassed_model_is_read_by_names_and_shapes(tmp_path: Path) -> None:
    import keras

    L = keras.layers

    class Mine(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = L.GRU(4)
            self.stack = [L.LSTM(4, return_sequences=True), L.LSTM(4)]
            self.answer = L.Dense(1)

        def call(self, x: Any) -> Any:
            self.encoder(x)
            for layer in self.stack:
                x = layer(x)
            return self.answer(x)

    model = Mine()
    model(np.zeros((1, 2, 3), "float32"))
    x = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")
    path = save(randomised(model), tmp_path / "m.weights.h5")
    stated = Stated(only="layers/lstm", returns="last", outputs="values")
    found = read(path, stated)
    assert found.notes == [
        "Not part of the network: encoder.",
        "Taken for a stack in this order: layers/lstm, layers/lstm_1.",
    ]
    assert worst(found) <= LIMITS["float32"].forward
    expected = reference(found.network, x)
    assert distance(found.network, np.asarray(model(x)), expected) <= LIMITS["float32"].forward


def test_in_a_process_of_its_own_and_swapped_gates_are_seen(tmp_path: Path) -> None:
    import keras

    L = keras.layers
    model = sequential([L.LSTM(4, return_sequences=True), L.Dense(2, "sigmoid")])
    stated = Stated(returns="every_step", outputs="probabilities")
    for name in ("m.keras", "m.weights.h5"):
        path = save(model, tmp_path / name)
        found = read(path, stated)
        inputs = random_inputs(found.network)
        expected = [reference(found.network, x) for x in inputs]
        for x, y in zip(expected, outputs_of(found.usage, inputs, tmp_path), strict=True):
            assert distance(found.network, y, x) <= LIMITS["float32"].forward
        weights = found.network.weights
        swapped = per_gate(weights["rnn.0.kernel"], [1, 0, 2, 3])
        other = replace(found.network, weights=weights | {"rnn.0.kernel": swapped})
        assert worst(replace(found, network=other)) > 1000 * LIMITS["float32"].forward
    with h5py.File(path, "r+") as file:
        kernel: Any = file["layers/lstm/cell/vars/1"]
        kernel[...] = per_gate(kernel[...], [0, 1, 3, 2])
    assert worst(found) > 1000 * LIMITS["float32"].forward
