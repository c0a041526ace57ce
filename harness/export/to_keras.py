"""Keras: `model.keras`, made of Keras' own layers only, so that it loads in safe mode.

Keras' layout is the canonical one, so weights go in as they are. It keeps two rows of biases only
in a GRU whose reset gate acts after the product; elsewhere the sum acts.
"""

import os
from pathlib import Path
from typing import Any

from harness.export.network import Array, Network, as_markdown
from harness.quiet import without_native_messages

USAGE = """\
import keras

model = keras.models.load_model("model.keras")
y = model.predict_on_batch(x)  # predict() would round float64 inputs to float32
"""


def write(network: Network, folder: Path) -> None:
    model = build(network)
    model.save(folder / "model.keras")
    (folder / "model.md").write_text(as_markdown(network, USAGE), encoding="utf-8")


def build(network: Network) -> Any:
    """The `keras.Sequential` with its weights; any batch size and any length."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with without_native_messages():
        import keras
    spec, layers = network.model, keras.layers
    model = keras.Sequential(name="network")
    model.add(keras.Input((None, spec.features), dtype=network.outer_precision))
    if network.standardised:
        mean, variance = network.x_mean, network.x_std**2
        model.add(layers.Normalization(mean=mean, variance=variance, dtype="float64", name="scale"))
    for n, weights in enumerate(network.layers):
        deeper = n < spec.layers - 1
        layer = _recurrent(network, layers, n, spec.every_step or deeper)
        model.add(layer)
        layer.set_weights(_arrays(network, *weights))
    if spec.head == "dense":
        head = layers.Dense(spec.outputs, dtype=network.precision, name="head")
        model.add(head)
        head.set_weights([network.weights["head.kernel"], network.weights["head.bias"]])
    if network.loss == "bce":
        model.add(layers.Activation("sigmoid", dtype=network.precision, name="probability"))
    if network.standardised:
        scale, offset = network.y_std, network.y_mean
        model.add(layers.Rescaling(scale, offset, dtype="float64", name="original_units"))
    return model


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
