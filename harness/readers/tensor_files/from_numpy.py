"""Arrays of this project: a run's `weights/final.safetensors`, or an export's `model.npz`.

A run's file has the canonical names of `harness/core/model.py`, mostly with a replica axis, and no
scales. An export has the names of `to_numpy.py`, the scales, and the biases in the acting form.
"""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from harness.core.arrays import Array
from harness.readers.foreign_network import ForeignNetwork, Stated, ask
from harness.readers.tensor_files.choose_layers import choose
from harness.readers.tensor_files.network_of_layers import network_of
from harness.readers.tensor_files.numpy_usage import usage
from harness.readers.tensor_files.open_file import open_file
from harness.readers.tensor_files.recurrent_stacks import SCALES, Dense, Layer, Layers, cell_of
from harness.readers.tensor_files.tensor_file import TensorFile

RUN = ("kernel", "recurrent_kernel", "bias", "recurrent_bias")
EXPORT = ("W", "U", "b", "recurrent_b")


def read(path: Path, stated: Stated) -> ForeignNetwork:
    """Read the network of a run, or of an export. Raises `ConfigError`."""
    file, replica, stated = _one_replica(open_file(path), stated)
    names = RUN if "rnn.0.kernel" in file.types else EXPORT
    count = len([name for name in file.types if re.fullmatch(rf"rnn\.\d+\.{names[0]}", name)])
    layers = [_layer(file, n, names) for n in range(count or 1)]
    kernel, bias = (f"head.{name}" for name in (names[0], names[2]))
    dense = [_head(file, kernel, bias)] if kernel in file.types else []
    scales = set(SCALES) & file.types.keys()
    chosen = choose(file, Layers(stacks=[layers], dense=dense, scales=scales), stated)

    def weights(layer: Layer, precision: str) -> dict[str, Array]:
        arrays = [file.array(name, precision) for name in layer.arrays]
        if layer.cell == "gru" and len(arrays) == 4 and names is EXPORT:
            arrays[2:] = [np.stack(arrays[2:])]
        return dict(zip(RUN, arrays, strict=False))

    network = network_of(
        file, chosen, stated, weights, reset=_reset(layers[0], names is RUN, stated)
    )
    if names is RUN:
        chosen.notes.append(
            "A run's weights do not hold how it scaled inputs and targets; what harness export "
            "writes does."
        )
    return ForeignNetwork(
        network=network,
        usage=usage(file, chosen, network, replica),
        notes=chosen.notes,
        filled=chosen.filled,
    )


def _one_replica(file: TensorFile, stated: Stated) -> tuple[TensorFile, int | None, Stated]:
    """Return the file as if it had one replica alone, and which one: None without such an axis."""
    replicas = file.shapes.get("rnn.0.kernel", ())[:-2]
    if not replicas:
        return file, None, stated
    for name, shape in file.shapes.items():
        file.check_shape(name, (replicas[0], *shape[1:]))
    replica = 0
    if replicas[0] > 1:
        last = replicas[0] - 1
        if stated.only is None or stated.only not in map(str, range(last + 1)):
            raise ask("only", f"{file.path} has a network of each replica", f"one from 0 to {last}")
        replica, stated = int(stated.only), replace(stated, only=None)
    types = {name: (kind, shape[1:]) for name, (kind, shape) in file.types.items()}
    one = replace(file, types=types, load=lambda name: file.load(name)[replica])
    return one, replica, stated


def _layer(file: TensorFile, layer: int, names: tuple[str, ...]) -> Layer:
    kernel, recurrent, bias, recurrent_bias = (f"rnn.{layer}.{name}" for name in names)
    units, width = file.matrix(recurrent)
    cell, features = cell_of(file, recurrent, width, units), file.matrix(kernel)[0]
    # All layers after the first take the units of the one before.
    file.check_shape(kernel, (units if layer else features, width))
    if layer:
        file.check_shape(recurrent, file.shapes[recurrent.replace(f".{layer}.", ".0.")])
    two_rows = cell == "gru" and names is RUN and file.shapes.get(bias) == (2, width)
    file.check_shape(bias, (2, width) if two_rows else (width,))
    biases = "double" if two_rows or recurrent_bias in file.types else "single"
    if biases == "double" and not two_rows:
        of_candidate = cell == "gru" and names is RUN
        file.check_shape(recurrent_bias, (units,) if of_candidate else (width,))
        biases = "candidate" if of_candidate else "double"
    has = (kernel, recurrent, bias, recurrent_bias)
    return Layer(
        name="rnn",
        cell=cell,
        features=features,
        units=units,
        biases=biases,
        arrays=has[: 3 if biases == "single" or two_rows else 4],
    )


def _head(file: TensorFile, kernel: str, bias: str) -> Dense:
    features, outputs = file.matrix(kernel)
    file.check_shape(bias, (outputs,))
    return Dense(name="head", features=features, outputs=outputs, kernel=kernel, bias=bias)


def _reset(first: Layer, of_run: bool, stated: Stated) -> str:
    """Return where the GRU's reset gate acts: an export has a recurrent bias only after."""
    if first.cell != "gru":
        return "after"
    if not of_run:
        return "after" if first.biases == "double" else "before"
    if stated.reset is None:
        why = "a run's weights are the same with both (semantics.gru_reset)"
        raise ask("reset", why, "after", "before")
    return stated.reset
