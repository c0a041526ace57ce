"""Choose one recurrent stack of a file, and its head, by what fits and by what the user stated.

What then remains of the file is told, and refused where it may act on the outputs.
"""

from dataclasses import dataclass, field
from itertools import pairwise

from harness.core.errors import ConfigError, nearest
from harness.readers.foreign_network import Stated, ask, refuse
from harness.readers.tensor_files.recurrent_stacks import Dense, Layer, Layers
from harness.readers.tensor_files.tensor_file import TensorFile

FEW = 5  # names in a message


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The layers that make the network, and what was taken to be so."""

    layers: list[Layer]
    head: Dense | None
    scales: set[str]
    notes: list[str] = field(default_factory=list[str])
    filled: list[str] = field(default_factory=list[str])  # biases that the file has not: zeros


def choose(file: TensorFile, found: Layers, stated: Stated) -> Chosen:
    """Choose the stack and its head. Raises `ConfigError` where the choice is the user's."""
    layers = _choose_stack(file, found.stacks, stated.only)
    head = _choose_head(file, layers, found, stated.head)
    used = {name for layer in layers for name in layer.arrays}
    used |= found.scales
    used |= {head.kernel, head.bias} if head else set()
    notes: list[str] = []
    names = _names(layers)
    if len(names) > 1:
        notes.append(f"Taken to follow each other in this order: {', '.join(names)}.")
    if rest := [name for name in file.types if name not in used]:
        more = f" and {len(rest) - FEW} more arrays" if len(rest) > FEW else ""
        notes.append(f"Not part of the network: {', '.join(rest[:FEW])}{more}.")
    return Chosen(layers=layers, head=head, scales=found.scales, notes=notes)


def _choose_stack(file: TensorFile, stacks: list[list[Layer]], only: str | None) -> list[Layer]:
    valid = ["+".join(_names(stack)) for stack in stacks]
    every = [name for stack in stacks for name in _names(stack)]
    if only is None:
        if len(stacks) > 1:
            raise ask("only", f"{file.path} has several; join names by + if they follow", *valid)
        return stacks[0]
    layers: list[Layer] = []
    for name in only.split("+"):
        part = [layer for stack in stacks for layer in stack if layer.name == name]
        if not part:
            raise ConfigError(
                f"--only {only}: {file.path} has no recurrent layer {name}; it has "
                f"{', '.join(valid)}.{nearest(name, every)}"
            )
        layers += part
    for one, other in pairwise(layers):
        if other.cell != one.cell:
            raise refuse(file.path, other.name, f"a {other.cell} after a {one.cell}")
        if other.features != one.units:
            raise ConfigError(
                f"--only {only}: {other.name} takes {other.features} features, and {one.name} "
                f"gives {one.units}; name layers that follow each other."
            )
        if other.units != one.units:
            what = f"a layer of {other.units} units after one of {one.units}"
            raise refuse(file.path, other.name, what)
    return layers


def _choose_head(
    file: TensorFile, layers: list[Layer], found: Layers, stated: str | None
) -> Dense | None:
    units = layers[-1].units
    fitting = [dense for dense in found.dense if dense.features == units]
    names = [dense.name for dense in fitting]
    if stated == "none":
        return None
    if stated is not None:
        if stated not in names:
            raise ConfigError(
                f"--head {stated}: must be a dense layer of {file.path} that takes {units} "
                f"features: {', '.join([*names, 'none'])}."
            )
        return fitting[names.index(stated)]
    if len(fitting) > 1:
        why = f"each of them could take the {units} outputs of {_names(layers)[-1]}"
        raise ask("head", why, *names, "none")
    head = fitting[0] if fitting else None
    _check_rest(file, found, units, head)
    return head


def _check_rest(file: TensorFile, found: Layers, units: int, head: Dense | None) -> None:
    """Raise `ConfigError` for what may act on the outputs of the stack or of the head."""
    known = {name for stack in found.stacks for layer in stack for name in layer.arrays}
    known |= found.scales | found.aside
    known |= {name for dense in found.dense for name in (dense.kernel, dense.bias)}
    sizes = {(units,), (head.outputs,)} if head else {(units,)}
    choice = f"--head {head.name}, or --head none" if head else "--head none"
    for dense in found.dense:
        if head is not None and dense is not head and dense.features == head.outputs:
            what = f"a dense layer that fits the outputs of {head.name}"
            raise refuse(file.path, dense.name, what, f"; leave it out by {choice}")
    for name, shape in file.shapes.items():
        if name not in known and shape in sizes:
            what = f"an array of {shape[0]} values that may act on the network's outputs"
            raise refuse(file.path, name, what, f"; leave it out by {choice}")


def _names(layers: list[Layer]) -> list[str]:
    return list(dict.fromkeys(layer.name for layer in layers))
