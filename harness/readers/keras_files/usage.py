"""Code by which Keras runs a network's file: it builds the network of Keras' own layers.

Everything that the file names stands in it as a quoted string.
"""

from pathlib import Path
from typing import Any

from harness.core.model import ModelSpec
from harness.formats.trained_network import LAYER_NAMES, Network
from harness.readers.keras_files.arrays import Groups
from harness.readers.keras_files.parts import Parts

LOAD = """\
import keras

saved = keras.saving.load_model({file!r}, compile=False, safe_mode=True)
"""
LOAD_IN_FLOAT32 = """\
import json
import zipfile

import keras

config = zipfile.ZipFile({file!r}).read("config.json").decode()
for half in ("mixed_float16", "mixed_bfloat16", "float16", "bfloat16"):
    config = config.replace(f'"{{half}}"', '"float32"')
config = json.loads(config) | {{"compile_config": None}}
saved = keras.saving.deserialize_keras_object(config, safe_mode=True)
saved.load_weights({file!r})
"""
USE = """\
layers = [saved.get_layer(name) for name in {names!r}]
for layer in layers:
    layer.stateful = layer.unroll = False  # any number of sequences, of any number of steps
model = keras.Sequential([keras.Input((None, {features}), dtype={precision!r}), *layers])
y = model.predict_on_batch(x)
"""
ARRAYS = """\
import h5py
import keras

keras.config.set_dtype_policy({precision!r})
layers = [
{layers}]
arrays = [
{arrays}]
model = keras.Sequential([keras.Input((None, {features}), dtype={precision!r}), *layers])
with h5py.File({file!r}) as file:
    for layer, names in zip(layers, arrays):
        values = [file[name][...] for name in names]
        layer.set_weights([v.view("bfloat16") if v.dtype == "V2" else v for v in values])
y = model.predict_on_batch(x)
"""


def usage_of_archive(path: Path, names: list[str], network: Network, half: bool) -> str:
    """Return code that takes the layers `names` from the model that Keras loads."""
    load = (LOAD_IN_FLOAT32 if half else LOAD).format(file=str(path.absolute()))
    features = network.model.features
    return load + USE.format(names=names, features=features, precision=network.precision)


def usage_of_arrays(path: Path, groups: Groups, parts: Parts, network: Network) -> str:
    """Return code that builds the layers and gives them the arrays of the file."""
    names = [*parts.cells, *([parts.head] if parts.head else [])]
    return ARRAYS.format(
        precision=network.precision,
        layers="".join(f"    {line},\n" for line in _layers(groups, parts, network.model)),
        arrays="".join(f"    {_paths(groups[name])!r},\n" for name in names),
        features=network.model.features,
        file=str(path.absolute()),
    )


def _paths(datasets: dict[str, Any]) -> list[str]:
    """Return the places of a layer's arrays in the file, in the order of `set_weights`."""
    return [datasets[name].name for name in sorted(datasets)]


def _layers(groups: Groups, parts: Parts, model: ModelSpec) -> list[str]:
    found: list[str] = []
    for number, group in enumerate(parts.cells):
        every = model.every_step or number < model.layers - 1
        settings = f"{model.units}, return_sequences={every}, use_bias={'2' in groups[group]}"
        if model.cell == "rnn":
            settings += f', activation="{model.activation}"'
        if model.cell == "gru":
            settings += f", reset_after={model.reset == 'after'}"
        found.append(f"keras.layers.{LAYER_NAMES[model.cell]}({settings})")
    if parts.head:
        found.append(f"keras.layers.Dense({model.outputs}, use_bias={'1' in groups[parts.head]})")
    return [*found, 'keras.layers.Activation("sigmoid")'] if parts.sigmoid else found
