"""Keras: `model.keras`, built of Keras' own layers only, so that it loads in safe mode.

Keras' layout is the canonical one, so kernels are used as they are. It has two rows of biases only
in a GRU whose reset gate acts after the product; elsewhere the sum of both is used.
"""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from harness.core.arrays import Array
from harness.core.losses import gives_logits
from harness.formats.trained_network import Network, as_markdown
from harness.system.native_stderr import without_native_messages

USAGE = """\
import keras

model = keras.models.load_model("model.keras")
y = model.predict_on_batch(x)  # predict() would round float64 inputs to float32
"""
FLOOR = 1e-6  # of deviations: below 1e-7, Normalization would divide by 1e-7 instead


def write(network: Network, folder: Path) -> None:
    """Write `model.keras` and `model.md` into `folder`."""
    write_model(network, folder / "model.keras")
    (folder / "model.md").write_text(as_markdown(network, USAGE), encoding="utf-8")


def write_model(network: Network, path: Path) -> None:
    """Write the file of Keras alone, under any name."""
    with tempfile.TemporaryDirectory() as folder:  # Keras wants a name that ends in .keras
        saved = Path(folder, "model.keras")
        build(network).save(saved)
        shutil.copyfile(saved, path)


def build(network: Network) -> Any:
    """Return a `keras.Sequential` with the weights, for any batch size and any length."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with without_native_messages():
        import keras
    spec, layers = network.model, keras.layers
    model = keras.Sequential(name="network")
    model.add(keras.Input((None, spec.features), dtype=network.outer_precision))
    if network.standardised:
        factor = _factor(network.x_std)
        if factor != 1:
            model.add(layers.Rescaling(factor, dtype="float64", name="magnify"))
        layer = layers.Normalization(dtype="float64", name="scale")
        model.add(layer)
        _set_scale(layer, network.x_mean * factor, network.x_std * factor)
    for n, weights in enumerate(network.layers):
        deeper = n < spec.layers - 1
        layer = _recurrent(network, layers, n, spec.every_step or deeper)
        model.add(layer)
        layer.set_weights(_arrays(network, *weights))
    if spec.head == "dense":
        head = layers.Dense(spec.outputs, dtype=network.precision, name="head")
        model.add(head)
        head.set_weights([network.weights["head.kernel"], network.weights["head.bias"]])
    if gives_logits(network.loss):
        model.add(layers.Activation("sigmoid", dtype=network.precision, name="probability"))
    if network.standardised:
        mean, std = np.full((2, spec.outputs), [[network.y_mean], [network.y_std]])
        factor = _factor(std)
        layer = layers.Normalization(invert=True, dtype="float64", name="original_units")
        model.add(layer)
        _set_scale(layer, mean * factor, std * factor)
        if factor != 1:
            model.add(layers.Rescaling(1 / factor, dtype="float64", name="reduce"))
    return model


def _factor(std: Array) -> float:
    """Return a factor that lifts deviations above `FLOOR`: a power of 2, which rounds nothing."""
    return 2.0 ** -int(np.frexp(std.min())[1]) if std.min() < FLOOR else 1.0


def _set_scale(layer: Any, mean: Array, std: Array) -> None:
    """Set mean and deviation as float64 weights: TensorFlow reads a layer's settings in float32."""
    layer.set_weights([mean, std**2, np.array(0)])
    layer.finalize_state()


def _recurrent(network: Network, layers: Any, n: int, every_step: bool) -> Any:
    spec = network.model
    settings = {"return_sequences": every_step, "dtype": network.precision, "name": f"rnn_{n}"}
    if spec.cell == "rnn":
        return layers.SimpleRNN(spec.units, activation=spec.activation, **settings)
    if spec.cell == "lstm":
        return layers.LSTM(spec.units, **settings)
    return layers.GRU(spec.units, reset_after=not network.resets_before, **settings)


def _arrays(network: Network, W: Array, U: Array, b: Array) -> list[Array]:
    two_rows = network.model.cell == "gru" and not network.resets_before
    return [W, U, b if two_rows else b.sum(axis=0)]
