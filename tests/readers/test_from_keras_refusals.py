"""`from_keras`: what it asks, and what it refuses by name, of files that Keras wrote."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.core.errors import ConfigError
from harness.readers.foreign_network import Stated
from harness.readers.keras_files.from_keras import read
from tests.support.keras_files import save, sequential

pytestmark = [
    pytest.mark.slow,
    # Keras 3.15 on TensorFlow reads its variables in a way that NumPy 2 has deprecated.
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword"),
]
Layers = Callable[[Any], list[Any]]
SAVE = "save the arrays alone by model.save_weights('NAME.weights.h5')."

# What a model is made of, and why it is refused, after the file's name.
REFUSED: dict[str, tuple[Layers, str]] = {
    "activation": (
        lambda L: [L.LSTM(4, "relu", name="a")],
        "a is a layer of class LSTM with activation='relu', which no network here has.",
    ),
    "linear": (
        lambda L: [L.SimpleRNN(4, "linear", name="a")],
        "a is a layer of class SimpleRNN with activation='linear', which no network here has.",
    ),
    "gates": (
        lambda L: [L.RNN(L.GRUCell(4, recurrent_activation="hard_sigmoid"), name="a")],
        "a is a layer of class GRUCell with recurrent_activation='hard_sigmoid', which no network "
        "here has.",
    ),
    "backwards": (
        lambda L: [L.LSTM(4, go_backwards=True, name="a")],
        "a is a layer that goes backwards, which no network here has.",
    ),
    "directions": (
        lambda L: [L.Bidirectional(L.LSTM(4), name="a"), L.Dense(1)],
        "a is a layer of class Bidirectional, which no network here has.",
    ),
    "units": (
        lambda L: [L.GRU(4, return_sequences=True), L.GRU(5)],
        "layers/gru_1/cell is GRU of 5 units after GRU of 4 units, which no network here has.",
    ),
    "cells": (
        lambda L: [L.GRU(4, return_sequences=True), L.LSTM(4, name="a")],
        "a is LSTM (tanh, after) after GRU (tanh, after), which no network here has.",
    ),
    "resets": (
        lambda L: [L.GRU(4, return_sequences=True), L.GRU(4, reset_after=False, name="a")],
        "a is GRU (tanh, before) after GRU (tanh, after), which no network here has.",
    ),
    "precisions": (
        lambda L: [L.GRU(4, return_sequences=True), L.GRU(4, dtype="float64")],
        "the network is of the precision 'float32', 'float64', which no network here has.",
    ),
    "masking": (
        lambda L: [L.Masking(name="a"), L.LSTM(4, name="b")],
        "a is a layer of class Masking, which no network here has; --only b leaves it out.",
    ),
    "convolution": (
        lambda L: [L.Conv1D(4, 3, name="a"), L.LSTM(4, name="b")],
        "a is a layer of class Conv1D, which no network here has; --only b leaves it out.",
    ),
    "normalisation": (
        lambda L: [L.LSTM(4, name="b"), L.LayerNormalization(name="a"), L.Dense(1)],
        "a is a layer of class LayerNormalization, which no network here has; --only b leaves it "
        "out.",
    ),
    "second dense": (
        lambda L: [L.LSTM(4, name="b"), L.Dense(4), L.Dense(1, name="a")],
        "a is a layer of class Dense, which no network here has; --only b leaves it out.",
    ),
    "relu head": (
        lambda L: [L.LSTM(4), L.Dense(4, "relu", name="a")],
        "a is a dense layer with activation='relu', which no network here has; --head none leaves "
        "it out.",
    ),
    "softmax": (
        lambda L: [L.LSTM(4), L.Dense(4, "softmax", name="a")],
        "a is a dense layer with activation='softmax', which no network here has; --head none "
        "leaves it out.",
    ),
    "sigmoid twice": (
        lambda L: [L.LSTM(4, name="b"), L.Dense(1, "sigmoid"), L.Activation("sigmoid", name="a")],
        "a is a layer of class Activation, which no network here has; --only b leaves it out.",
    ),
    "none": (lambda L: [L.Dense(1)], "has no recurrent layer; give a file that has one."),
    "lambda": (
        lambda L: [L.LSTM(4), L.Lambda(abs)],
        f"needs 'Lambda', which is no layer or function of Keras' own, or runs code; {SAVE}",
    ),
    "function": (
        lambda L: [L.SimpleRNN(4, activation=doubled)],
        f"needs 'doubled', which is no layer or function of Keras' own, or runs code; {SAVE}",
    ),
}


def doubled(x: Any) -> Any:
    return 2 * x


def message(path: Path, **said: str) -> str:
    """The one line with which a file is refused, without the file's own name before it."""
    with pytest.raises(ConfigError) as error:
        read(path, Stated(**said))
    [line] = str(error.value).splitlines()
    return line.replace(str(path), "FILE")


@pytest.mark.parametrize("name", REFUSED)
def test_an_archive_is_refused_by_name(name: str, tmp_path: Path) -> None:
    import keras

    layers, why = REFUSED[name]
    path = save(sequential(layers(keras.layers)), tmp_path / "m.keras")
    assert message(path) == f"FILE: {why}"


def test_models_that_are_no_chain(tmp_path: Path) -> None:
    import keras

    L = keras.layers
    inputs = keras.Input((None, 3))
    lstm, twice = L.LSTM(4, name="a"), L.GRU(3, name="b", return_sequences=True)
    heads = keras.Model(
        inputs, [L.Dense(1, name="y")(lstm(inputs)), L.Dense(1, name="z")(lstm.output)]
    )
    path = save(heads, tmp_path / "heads.keras")
    asked = "--head: say y or z or none: several dense layers take the outputs of a."
    assert message(path) == asked
    assert message(path, head="x") == "--head=x: must be one of none, y, z."
    branches = keras.Model(inputs, [L.LSTM(2, name="c")(inputs), L.LSTM(2, name="d")(inputs)])
    path = save(branches, tmp_path / "branches.keras")
    assert message(path) == "--only: say c or d: FILE has several stacks of recurrent layers."
    assert message(path, only="e") == "--only=e: must be one of c, d."
    path = save(keras.Model(inputs, twice(twice(inputs))), tmp_path / "twice.keras")
    assert message(path) == (
        "FILE: b is a layer that is used more than once, which no network here has."
    )
    random = L.LSTM(4)(L.Dropout(0.5, name="g")(inputs, training=True))
    path = save(keras.Model(inputs, random), tmp_path / "random.keras")
    assert message(path) == (
        "FILE: g is a layer that acts as in training, which no network here has."
    )
    _, h, c = L.LSTM(4, return_state=True, name="encoder")(inputs)
    decoded = L.LSTM(4, name="decoder")(inputs, initial_state=[h, c])
    path = save(keras.Model(inputs, decoded), tmp_path / "states.keras")
    assert message(path, only="decoder") == (
        "FILE: decoder is a layer with initial states or a mask of its own, which no network here "
        "has."
    )
    assert message(path, only="encoder") == (
        "FILE: encoder is a layer that returns its states, which no network here has."
    )


def test_a_class_of_ones_own(tmp_path: Path) -> None:
    import keras

    class Mine(keras.Model):
        def call(self, x: Any) -> Any:
            return x

    model = Mine()
    model(keras.ops.zeros((1, 2, 3)))
    path = save(model, tmp_path / "m.keras")
    assert message(path) == (
        f"FILE: needs 'Mine', which is no layer or function of Keras' own, or runs code; {SAVE}"
    )


def test_what_contradicts_an_archive(tmp_path: Path) -> None:
    import keras

    L = keras.layers
    path = save(sequential([L.GRU(4), L.Dense(1, "sigmoid")]), tmp_path / "m.keras")
    for option, said, found in (
        ("activation", "relu", "tanh"),
        ("reset", "before", "after"),
        ("returns", "every_step", "last"),
        ("outputs", "values", "probabilities"),
    ):
        wanted = f"--{option} {said}: FILE has {found}; leave the option out."
        assert message(path, **{option: said}) == wanted
        assert read(path, Stated(**{option: found})).network.model.cell == "gru"


def test_arrays_alone_are_asked_about(tmp_path: Path) -> None:
    import keras

    L = keras.layers
    simple = save(sequential([L.SimpleRNN(4), L.Dense(1)]), tmp_path / "simple.weights.h5")
    why = "a file of arrays alone does not say it."
    said: dict[str, str] = {}
    for option, first, second in (
        ("outputs", "values", "probabilities"),
        ("activation", "tanh", "relu"),
        ("returns", "last", "every_step"),
    ):
        assert message(simple, **said) == f"--{option}: say {first} or {second}: {why}"
        said[option] = second
    assert read(simple, Stated(**said)).network.title == (
        "SimpleRNN layer of 4 units (relu), then a dense layer with 1 output and a sigmoid"
    )
    plain = save(sequential([L.GRU(4, use_bias=False)]), tmp_path / "plain.weights.h5")
    assert message(plain, outputs="values") == f"--reset: say after or before: {why}"
    gru = save(sequential([L.GRU(4, reset_after=False)]), tmp_path / "gru.weights.h5")
    wanted = "--reset after: FILE has before; leave the option out."
    assert message(gru, outputs="values", reset="after") == wanted
    assert message(gru, outputs="values", activation="relu") == (
        "--activation relu: FILE has tanh; leave the option out."
    )


def test_arrays_alone_are_refused_by_name(tmp_path: Path) -> None:
    import keras

    L = keras.layers
    path = tmp_path / "m.weights.h5"
    save(sequential([L.GRU(4), L.Dense(4), L.Dense(1)]), path)
    wanted = (
        "--head: say layers/dense or layers/dense_1 or none: FILE has several dense layers of 4 "
        "features."
    )
    assert message(path) == wanted
    assert message(path, head="out") == (
        "--head=out: must be one of none, layers/dense, layers/dense_1."
    )
    save(sequential([L.Conv1D(4, 2), L.GRU(4)]), path)
    assert message(path) == (
        "FILE: layers/conv1d is a layer beside the stack and its head, which no network here has; "
        "--only layers/gru leaves it out."
    )
    save(sequential([L.GRU(4, return_sequences=True), L.LSTM(4)]), path)
    assert message(path) == (
        "--only: say layers/gru or layers/lstm: FILE has several recurrent layers that are no "
        "stack."
    )
    save(sequential([L.GRU(4, return_sequences=True), L.GRU(5)]), path)
    assert message(path) == (
        "FILE: layers/gru_1/cell is GRU of 5 units after GRU of 4 units, which no network here has."
    )
    save(sequential([L.Bidirectional(L.LSTM(4))]), path)
    assert message(path) == (
        "FILE: layers/bidirectional/backward_layer is one direction of a layer that has two, which "
        "no network here has."
    )
    save(sequential([L.Dense(4)]), path)
    assert message(path) == "FILE: has no arrays of a SimpleRNN, LSTM or GRU layer."


def test_an_archive_of_another_name(tmp_path: Path) -> None:
    import keras

    model = sequential([keras.layers.LSTM(4)])
    zipped = save(model, tmp_path / "m.keras").rename(tmp_path / "m.zip")
    assert re.fullmatch("FILE: is a zip archive; rename it .*", message(zipped))


def test_a_model_that_was_never_built(tmp_path: Path) -> None:
    import keras

    with pytest.warns(UserWarning, match="not yet been built"):
        keras.Sequential([keras.layers.LSTM(4)]).save(tmp_path / "m.keras")
    assert message(tmp_path / "m.keras") == (
        "FILE: is damaged (layers/lstm/cell lacks the arrays of a recurrent layer); copy or save "
        "it anew."
    )
