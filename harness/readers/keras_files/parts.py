"""The parts of a network in a file of Keras, and the network that they make.

Keras' layout is the canonical one, so arrays are used as they are.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from harness.core.arrays import Array
from harness.core.errors import ConfigError
from harness.core.model import ModelSpec, shapes
from harness.formats.trained_network import LAYER_NAMES, Network
from harness.readers.foreign_network import refuse
from harness.readers.keras_files.arrays import Cell, Groups, cell_of, dense_shape, is_half, load


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Where the arrays of a network are, by the path of their group, and what acts on them."""

    cells: list[str]  # of each recurrent layer
    head: str | None  # of the dense layer
    cell: str  # rnn, lstm or gru
    activation: str
    reset: str
    returns: str
    sigmoid: bool
    half: bool = False  # Keras would compute in float16 or bfloat16
    notes: list[str] = field(default_factory=list[str])


def settle(path: Path, option: str, stated: str | None, found: str) -> str:
    """Return what a file says; raise `ConfigError` if the user states something else."""
    if stated not in (None, found):
        raise ConfigError(f"--{option} {stated}: {path} has {found}; leave the option out.")
    return found


def cells_of(path: Path, groups: Groups, names: list[str]) -> list[Cell]:
    """Return the shapes of a stack of recurrent cells; raise an error if they are no stack."""
    cells: list[Cell] = []
    for name in names:
        cell = cell_of(groups.get(name, {}))
        if cell is None:
            raise ValueError(f"{name} lacks the arrays of a recurrent layer")
        if cells and (cell.cell, cell.units) != (cells[0].cell, cells[0].units):
            now, before = (f"{LAYER_NAMES[c.cell]} of {c.units} units" for c in (cell, cells[0]))
            raise refuse(path, name, f"{now} after {before}")
        if cells and cell.features != cell.units:
            raise ValueError(f"{name} takes {cell.features} features, not {cell.units}")
        cells.append(cell)
    return cells


def network_of(
    path: Path, groups: Groups, parts: Parts, read: Callable[[Any], Array] = load
) -> tuple[Network, list[str]]:
    """Return the network, and notes of what was taken to be so; `read` returns a dataset's array.

    Groups of plain arrays are read by `np.asarray`.
    """
    model = _model(path, groups, parts)
    datasets = _by_canonical_name(groups, parts)
    precision, notes = _precision(path, datasets, parts.half)
    weights = {name: read(dataset) for name, dataset in datasets.items()}
    wanted = shapes(model)
    notes += _without_biases(wanted, weights)
    weights = {name: weights.get(name, np.zeros(shape)) for name, shape in wanted.items()}
    network = Network(
        model=model,
        loss="bce" if parts.sigmoid else "mse",
        precision=precision,
        padded=False,
        weights={name: value.astype(precision) for name, value in weights.items()},
        x_mean=np.zeros(model.features),
        x_std=np.ones(model.features),
        y_mean=0.0,
        y_std=1.0,
        origin=f"Read from {path.name}, a file of Keras.",
    )
    return network, parts.notes + notes


def _model(path: Path, groups: Groups, parts: Parts) -> ModelSpec:
    cells = cells_of(path, groups, parts.cells)
    if any(c.cell != parts.cell or c.reset not in (None, parts.reset) for c in cells):
        raise ValueError(f"its arrays are not those of {LAYER_NAMES[parts.cell]} layers")
    units = cells[0].units
    shape = dense_shape(groups.get(parts.head, {})) if parts.head else (units, units)
    if shape is None or shape[0] != units:
        raise ValueError(f"{parts.head} lacks the arrays of a dense layer after the stack")
    two_rows = parts.cell == "gru" and parts.reset == "after"
    return ModelSpec(
        cell=parts.cell,
        features=cells[0].features,
        units=units,
        layers=len(cells),
        activation=parts.activation,
        returns=parts.returns,
        head="dense" if parts.head else "none",
        outputs=shape[1],
        biases="double" if two_rows else "single",
        reset=parts.reset,
    )


def _by_canonical_name(groups: Groups, parts: Parts) -> dict[str, Any]:
    """Return the datasets of the network by canonical name, without biases that it has not."""
    places = {f"rnn.{n}": group for n, group in enumerate(parts.cells)}
    found: dict[str, Any] = {}
    for layer, group in places.items():
        for number, name in enumerate(("kernel", "recurrent_kernel", "bias")):
            found[f"{layer}.{name}"] = groups[group].get(str(number))
    if parts.head:
        found["head.kernel"], found["head.bias"] = (groups[parts.head].get(n) for n in "01")
    return {name: dataset for name, dataset in found.items() if dataset is not None}


def _precision(path: Path, datasets: dict[str, Any], half: bool) -> tuple[str, list[str]]:
    """Return the precision of the network, with a note if the file's is less."""
    kinds = sorted({dataset.dtype.name for dataset in datasets.values()})
    if "float64" in kinds:
        if len(kinds) > 1:
            raise refuse(path, "the network", f"of mixed precision ({', '.join(kinds)})")
        return "float64", []
    if half or any(is_half(dataset) for dataset in datasets.values()):
        return "float32", ["Computes in half precision in Keras, and in float32 here."]
    return "float32", []


def _without_biases(wanted: dict[str, tuple[int, ...]], weights: dict[str, Array]) -> list[str]:
    missing = {name: shape for name, shape in wanted.items() if name not in weights}
    if not missing:
        return []
    count = sum(math.prod(shape) for shape in missing.values())
    return [
        f"Has no {', '.join(missing)}: zeros stand there, {count:,} parameters more than the file's"
        ", which training changes."
    ]
