"""Keras' older HDF5 format, `.h5`, of a model or of its weights: that of Keras 2, which 3 has, too.

A path is the layer's name, perhaps after other names, then its cell's and what the array is, such
as `lstm/lstm/lstm_cell/kernel:0`. What the model is stands in attributes, which are left alone.
"""

from typing import Any

NAMES = ("kernel", "recurrent_kernel", "bias")  # in the order of the newer format's numbers
DIRECTIONS = ("forward_", "backward_")  # begin the names of the layers inside Bidirectional
GATES_NOTE = (
    "Its gates are taken to have a sigmoid, as in TensorFlow 2; before, they had a hard one."
)


def older_arrays(datasets: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the datasets of each layer by their number, from those of a file by their paths.

    An array of another layer keeps its name. Raises `ValueError` for two layers of one name.
    """
    layers: dict[str, dict[str, Any]] = {}
    for path, dataset in datasets.items():
        *place, name = path.removesuffix(":0").split("/")
        arrays = layers.setdefault(_layer(place), {}) if place else {}
        if name in arrays:
            raise ValueError(f"two of its layers are called {_layer(place)}")
        arrays[name] = dataset
    return {layer: _numbered(arrays) for layer, arrays in layers.items()}


def _layer(place: list[str]) -> str:
    """Return a layer's path as the newer format would have it."""
    in_cell = len(place) > 1 and place[-1].endswith("_cell")
    name = place[-2] if in_cell else place[-1]
    for direction in DIRECTIONS:
        if name.startswith(direction):
            return f"{name}/{direction}layer"
    return f"{name}/cell" if in_cell else name


def _numbered(arrays: dict[str, Any]) -> dict[str, Any]:
    known = [name for name in NAMES if name in arrays]
    numbers = {name: str(number) for number, name in enumerate(known)}
    return {numbers.get(name, name): dataset for name, dataset in arrays.items()}


def is_older(groups: dict[str, dict[str, Any]]) -> bool:
    """Whether the arrays of layers are from a file of the older format."""
    return all("/vars/" not in item.name for arrays in groups.values() for item in arrays.values())
