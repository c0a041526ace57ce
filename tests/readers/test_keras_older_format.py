"""Keras' older `.h5` files: the arrays of their layers are those of the newer format."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from harness.core.errors import ConfigError
from harness.core.tolerances import LIMITS
from harness.formats.own_process import outputs_of
from harness.formats.reference import distance, random_inputs, reference
from harness.readers.foreign_network import ForeignNetwork, Stated
from harness.readers.keras_files.from_keras import read
from harness.readers.keras_files.older_format import GATES_NOTE
from tests.support.keras_files import save, sequential

pytestmark = [
    pytest.mark.slow,
    # Keras 3.15 on TensorFlow reads its variables in a way that NumPy 2 has deprecated.
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword"),
    pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file"),
]
STATED = Stated(returns="last", outputs="values", activation="tanh")


def layers_of(kind: str) -> Sequence[Any]:
    import keras

    L = keras.layers
    cell = getattr(L, kind)
    return [cell(4, return_sequences=True), L.Dropout(0.5), cell(4), L.Dense(2)]


def check(found: ForeignNetwork, folder: Path) -> None:
    """The file, run by Keras in a process of its own, gives what was read."""
    inputs = random_inputs(found.network)
    for x, y in zip(inputs, outputs_of(found.usage, inputs, folder), strict=True):
        apart = distance(found.network, y, reference(found.network, x))
        assert apart <= LIMITS["float32"].forward


@pytest.mark.parametrize("kind", ["SimpleRNN", "LSTM", "GRU"])
def test_a_model_in_keras_3s_older_format(kind: str, tmp_path: Path) -> None:
    model = sequential(layers_of(kind))
    model.compile("adam", "mse")
    x, y = np.zeros((4, 5, 3), "f4"), np.zeros((4, 2), "f4")
    model.fit(x, y, verbose=0)  # then the file has the optimizer's memory, too
    model.save(tmp_path / "m.h5")
    wanted = read(save(model, tmp_path / "m.weights.h5"), STATED).network
    found = read(tmp_path / "m.h5", STATED)
    assert found.network.model == wanted.model
    assert (GATES_NOTE in found.notes) == (kind != "SimpleRNN")
    for name, value in wanted.weights.items():
        np.testing.assert_array_equal(found.network.weights[name], value)
    if kind == "GRU":
        check(found, tmp_path)


def as_keras_2(path: Path, *names: str) -> Path:
    """Write LSTM layers and a dense one as `save_weights('NAME.h5')` of Keras 2 does."""
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        for number, name in enumerate(names):
            shapes = {"kernel": (3 if number == 0 else 4, 16), "recurrent_kernel": (4, 16)}
            for array, shape in (shapes | {"bias": (16,)}).items():
                file[f"{name}/{name}/lstm_cell/{array}:0"] = rng.normal(size=shape).astype("f4")
        file["dense/dense/kernel:0"] = rng.normal(size=(4, 2)).astype("f4")
        file["dense/dense/bias:0"] = rng.normal(size=2).astype("f4")
        file.create_group("top_level_model_weights")
    return path


def test_weights_of_keras_2(tmp_path: Path) -> None:
    found = read(as_keras_2(tmp_path / "m.h5", "lstm", "lstm_1"), STATED)
    with h5py.File(tmp_path / "m.h5") as file:
        kernel: Any = file["lstm_1/lstm_1/lstm_cell/recurrent_kernel:0"]
        np.testing.assert_array_equal(found.network.weights["rnn.1.recurrent_kernel"], kernel)
    check(found, tmp_path)


def message(path: Path, **said: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(path, Stated(**{"returns": "last", "outputs": "values", **said}))
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(str(path), "FILE")


def test_what_it_does_not_say_is_asked_or_refused(tmp_path: Path) -> None:
    import keras

    L, path = keras.layers, tmp_path / "m.h5"
    other = as_keras_2(tmp_path / "other.h5", "encoder", "decoder")
    assert message(other).startswith("--only: say decoder or encoder: FILE has several recurrent")
    sequential([L.Bidirectional(L.LSTM(4))]).save(path)
    assert "is one direction of a layer that has two" in message(path)
    sequential([L.Conv1D(4, 2), L.LSTM(4)]).save(path)
    assert message(path).startswith("FILE: conv1d is a layer beside the stack and its head")
    sequential([L.BatchNormalization(), L.LSTM(4)]).save(path)
    assert message(path).startswith("FILE: batch_normalization is a layer beside the stack")
    with h5py.File(other, "a") as file:
        file["sub/encoder/lstm_cell/kernel:0"] = np.zeros((3, 16))
    assert re.match("FILE: is damaged .two of its layers are called encoder/cell", message(other))
