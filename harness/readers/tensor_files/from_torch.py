"""PyTorch: the state_dict of any module with `nn.RNN`, `nn.LSTM` or `nn.GRU`, or their cells.

A layer's cell follows from its shapes: `weight_ih` has `gates · units` rows. PyTorch's kernels are
transposed, and the gates of its GRU are in the order r, z, n. All layers of a module follow each
other; so do cells whose names differ in a number.
"""

import re
from pathlib import Path

import numpy as np

from harness.core.arrays import Array
from harness.core.errors import ConfigError
from harness.core.layer_weights import per_gate
from harness.core.model import GATES
from harness.formats.to_torch import GATE_ORDER
from harness.readers.foreign_network import ForeignNetwork, Stated, refuse
from harness.readers.tensor_files.choose_layers import choose
from harness.readers.tensor_files.network_of_layers import network_of
from harness.readers.tensor_files.open_file import open_file
from harness.readers.tensor_files.recurrent_stacks import (
    ROOT,
    SCALES,
    Dense,
    Layer,
    Layers,
    cell_of,
    chains,
)
from harness.readers.tensor_files.tensor_file import TensorFile
from harness.readers.tensor_files.torch_usage import usage

WEIGHT = re.compile(r"(?P<module>.*\.|)weight_hh(?P<layer>_l\d+|)(?P<reverse>_reverse)?")
EQUINOX = "; equinox' cells are not read here"
KINDS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def read(path: Path, stated: Stated) -> ForeignNetwork:
    """Read the recurrent stack of a state_dict, and its head. Raises `ConfigError`."""
    file = open_file(path)
    scales = set(SCALES) & file.types.keys()
    found = Layers(stacks=_stacks(file), dense=_dense(file), scales=scales)
    chosen = choose(file, found, stated)

    def weights(layer: Layer, precision: str) -> dict[str, Array]:
        return _canonical(layer.cell, [file.array(name, precision) for name in layer.arrays])

    network = network_of(file, chosen, stated, weights, np.transpose)
    return ForeignNetwork(
        network=network,
        usage=usage(file, chosen, network),
        notes=chosen.notes,
        filled=chosen.filled,
    )


def _stacks(file: TensorFile) -> list[list[Layer]]:
    modules: dict[str, list[Layer]] = {}
    cells: list[Layer] = []
    for name in sorted(file.types, key=lambda name: [int(n) for n in re.findall(r"\d+", name)]):
        if match := WEIGHT.fullmatch(name):
            if match["reverse"]:
                raise refuse(file.path, name, "of a second direction")
            layer = _layer(file, match["module"], match["layer"])
            if match["layer"]:
                _append(file, layer, match["module"], modules.setdefault(match["module"], []))
            else:
                cells.append(layer)
    if not modules and not cells:
        names = ", ".join(list(file.types)[:5])
        raise ConfigError(
            f"{file.path}: has no weight_hh of a recurrent layer of PyTorch; it has {names}."
        )
    return [*modules.values(), *chains(cells)]


def _append(file: TensorFile, layer: Layer, module: str, layers: list[Layer]) -> None:
    """Append the next layer of a module, which must fit the one before."""
    weight_ih, weight_hh = (f"{module}{kind}_l{len(layers)}" for kind in KINDS[:2])
    if layers:
        rows = GATES[layers[0].cell] * layers[0].units
        file.check_shape(weight_ih, (rows, layers[0].units))
        file.check_shape(weight_hh, (rows, layers[0].units))
    else:
        file.check_shape(weight_hh, file.shapes[layer.arrays[1]])
    layers.append(layer)


def _layer(file: TensorFile, module: str, layer: str) -> Layer:
    """Return the layer `_l0` of a module, or the cell where `layer` is empty."""
    weight_ih, weight_hh, *biases = (f"{module}{kind}{layer}" for kind in KINDS)
    for name in file.types:
        kind = name.removeprefix(module)
        if name.startswith(module) and kind.startswith("weight_hr"):
            raise refuse(file.path, name, "the weight of a projection (proj_size)")
        if not layer and name.startswith(module) and "." not in kind and kind not in KINDS:
            raise refuse(file.path, name, "not of a cell of PyTorch's", EQUINOX)
    rows, units = file.matrix(weight_hh)
    cell, features = cell_of(file, weight_hh, rows, units), file.matrix(weight_ih)[1]
    file.check_shape(weight_ih, (rows, features))
    has_bias = any(bias in file.types for bias in biases)
    for bias in biases if has_bias else ():
        file.check_shape(bias, (rows,))
    return Layer(
        name=module.removesuffix(".") or ROOT,
        cell=cell,
        features=features,
        units=units,
        biases="double" if has_bias else "none",
        arrays=(weight_ih, weight_hh, *(biases if has_bias else ())),
    )


def _dense(file: TensorFile) -> list[Dense]:
    found: list[Dense] = []
    for kernel, shape in file.shapes.items():
        name, _, kind = kernel.rpartition(".")
        if kind != "weight" or len(shape) != 2:
            continue
        bias = f"{name}.bias" if file.shapes.get(f"{name}.bias") == shape[:1] else None
        found.append(
            Dense(name=name or ROOT, features=shape[1], outputs=shape[0], kernel=kernel, bias=bias)
        )
    return found


def _canonical(cell: str, arrays: list[Array]) -> dict[str, Array]:
    """Return PyTorch's arrays of a layer by canonical names, in canonical order and layout."""
    # Exchanging r and z is its own inverse.
    weight_ih, weight_hh, *biases = (per_gate(a, GATE_ORDER[cell], axis=0) for a in arrays)
    weights = {"kernel": weight_ih.T, "recurrent_kernel": weight_hh.T}
    if biases and cell == "gru":
        return weights | {"bias": np.stack(biases)}
    return weights | dict(zip(("bias", "recurrent_bias"), biases, strict=False))
