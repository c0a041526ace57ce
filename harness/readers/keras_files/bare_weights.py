"""The network in a file of Keras' arrays alone: names and shapes decide.

Layers whose names differ in their number alone, each of which takes as many features as the one
before has units, are taken for a stack. What neither names nor shapes show is asked for.
"""

import re
from pathlib import Path

from harness.core.errors import ConfigError, check_choice
from harness.readers.foreign_network import Stated, ask, refuse
from harness.readers.keras_files.arrays import Cell, Groups, cell_of, dense_shape
from harness.readers.keras_files.parts import Parts, cells_of, settle

DIRECTIONS = ("forward_layer", "backward_layer")
WHY = "a file of arrays alone does not say it"


def parts_in(path: Path, groups: Groups, stated: Stated) -> Parts:
    """Return the parts of the network; ask for what the file does not say."""
    stack = _stack(path, groups, stated.only)
    first, *deeper = cells_of(path, groups, stack)
    head = _head(path, groups, first.units, stated.head)
    others = [name for name in groups if name not in (*stack, head)]
    if others and stated.only is None and stated.head is None:
        remedy = f"; --only {_layer(stack[0])} leaves it out"
        raise refuse(path, _layer(others[0]), "a layer beside the stack and its head", remedy)
    notes = [f"Not part of the network: {', '.join(map(_layer, others))}."] if others else []
    if len(stack) > 1:
        notes.append(f"Taken for a stack in this order: {', '.join(map(_layer, stack))}.")
    outputs = _stated("outputs", stated.outputs, "values", "probabilities")
    return Parts(
        cells=stack,
        head=head,
        cell=first.cell,
        activation=_activation(path, first, stated),
        reset=_reset(path, [first, *deeper], stated),
        returns=_stated("returns", stated.returns, "last", "every_step"),
        sigmoid=outputs == "probabilities",
        notes=notes,
    )


def _stack(path: Path, groups: Groups, only: str | None) -> list[str]:
    stacks: list[list[str]] = []
    found = {name: cell for name in sorted(groups, key=_order) if (cell := _cell(groups, name))}
    for name, cell in found.items():
        before = found[stacks[-1][-1]] if stacks else None
        if before and _stem(stacks[-1][-1]) == _stem(name) and _continues(before, cell):
            stacks[-1].append(name)
        else:
            stacks.append([name])
    by_name = {_layer(stack[0]): stack for stack in stacks}
    if not stacks:
        for name in filter(_has_direction, groups):
            raise refuse(path, _layer(name), "one direction of a layer that has two")
        raise ConfigError(f"{path}: has no arrays of a SimpleRNN, LSTM or GRU layer.")
    if only is not None:
        check_choice("--only", only, by_name)
        return by_name[only]
    if len(stacks) > 1:
        raise ask("only", f"{path} has several recurrent layers that are no stack", *by_name)
    return stacks[0]


def _cell(groups: Groups, name: str) -> Cell | None:
    """Return the shapes of a recurrent cell of one direction, or None for another layer."""
    return None if _has_direction(name) else cell_of(groups[name])


def _has_direction(name: str) -> bool:
    return not set(name.split("/")).isdisjoint(DIRECTIONS)


def _continues(before: Cell, cell: Cell) -> bool:
    return before.cell == cell.cell and cell.features == before.units


def _layer(name: str) -> str:
    """Return the layer's own path: that of its arrays' group ends in its cell."""
    return re.split("/(?:cell|layer)(?:/|$)", name)[0]


def _stem(name: str) -> str:
    """Return the layer's path without its last number: layers of one class, in one place."""
    return re.sub("_?[0-9]*$", "", _layer(name))


def _order(name: str) -> list[str | int]:
    """Return a key that sorts lstm_10 after lstm_9."""
    return [int(part) if part.isdigit() else part for part in re.split("([0-9]+)", name)]


def _head(path: Path, groups: Groups, units: int, stated: str | None) -> str | None:
    found = {
        _layer(name): name
        for name, datasets in groups.items()
        if (dense_shape(datasets) or (0,))[0] == units and "embedding" not in name
    }
    if stated is not None:
        check_choice("--head", stated, ["none", *found])
        return found.get(stated)
    if len(found) > 1:
        raise ask("head", f"{path} has several dense layers of {units} features", *found, "none")
    return next(iter(found.values()), None)


def _stated(option: str, value: str | None, *valid: str) -> str:
    if value is None:
        raise ask(option, WHY, *valid)
    return value


def _activation(path: Path, cell: Cell, stated: Stated) -> str:
    if cell.cell == "rnn":
        return _stated("activation", stated.activation, "tanh", "relu")
    return settle(path, "activation", stated.activation, "tanh")


def _reset(path: Path, cells: list[Cell], stated: Stated) -> str:
    """Return where the GRU's reset gate acts, which only the shape of biases shows."""
    shown = {cell.reset for cell in cells if cell.reset}
    if len(shown) > 1:
        raise refuse(path, "the stack", "of GRUs whose reset gates act in different places")
    if cells[0].cell == "gru" and not shown:
        return _stated("reset", stated.reset, "after", "before")
    return settle(path, "reset", stated.reset, next(iter(shown), "after"))
