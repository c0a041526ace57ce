"""The recurrent and dense layers of a file of weights that has no architecture.

A reader of a format finds them by names and shapes; their arrays are not read yet.
"""

import re
from dataclasses import dataclass, field

from harness.core.errors import ConfigError
from harness.core.model import GATES
from harness.readers.tensor_files.tensor_file import REMEDY, TensorFile

ROOT = "."  # the name of a layer that is all of the file's model
SCALES: tuple[str, ...] = ("x_mean", "x_std", "y_mean", "y_std")  # of our exports


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A recurrent layer of a file; its arrays are not read yet."""

    name: str  # of the layer, or of the module that has several
    cell: str
    features: int
    units: int
    biases: str  # as in ModelSpec, or none
    arrays: tuple[str, ...]  # their names in the file


@dataclass(frozen=True, kw_only=True)
class Dense:
    """A dense layer of a file."""

    name: str
    features: int
    outputs: int
    kernel: str
    bias: str | None  # its name in the file


@dataclass(frozen=True, kw_only=True)
class Layers:
    """All layers of a file; the recurrent ones as stacks, whose layers follow each other."""

    stacks: list[list[Layer]]
    dense: list[Dense]
    scales: set[str] = field(default_factory=set[str])  # those of SCALES that the file has
    aside: set[str] = field(default_factory=set[str])  # arrays of no layer: an optimiser's


def cell_of(file: TensorFile, recurrent: str, width: int, units: int) -> str:
    """Return the cell whose gates are as many as `width`, of a recurrent kernel, has `units`.

    Raises `ConfigError` where no cell has so many.
    """
    for cell, gates in GATES.items():
        if width == gates * units:
            return cell
    valid = ", ".join(f"{gates * units} ({cell})" for cell, gates in GATES.items())
    raise ConfigError(
        f"{file.path}: {recurrent} has gates of {width} values; with {units} units it must be one "
        f"of {valid}: {REMEDY}."
    )


def chains(layers: list[Layer]) -> list[list[Layer]]:
    """Join layers whose names differ in their last number alone, if each fits the one before."""
    result: list[list[Layer]] = []
    for layer in sorted(layers, key=lambda layer: _numbered(layer.name)):
        if result and _follows(layer, result[-1][-1]):
            result[-1].append(layer)
        else:
            result.append([layer])
    return result


def _follows(layer: Layer, last: Layer) -> bool:
    alike = _numbered(last.name)[0] == _numbered(layer.name)[0] and last.cell == layer.cell
    return alike and layer.features == layer.units == last.units


def _numbered(name: str) -> tuple[str, int]:
    """Return a name without its last number, and that number."""
    match = re.fullmatch(r"(.*?)(\d+)(\D*)", name, re.DOTALL)
    return (name, 0) if match is None else (f"{match[1]}#{match[3]}", int(match[2]))
