"""The network in the graph of a `.keras` archive's layers.

A stack is recurrent layers of which each has the one before as its only source. The head is the
dense layer whose only source is the stack, and a sigmoid may follow.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.core.errors import ConfigError, check_choice
from harness.readers.foreign_network import Stated, ask, refuse
from harness.readers.keras_files.graph import DENSE, RECURRENT, Layer


@dataclass(frozen=True, kw_only=True)
class Chain:
    """The layers of the network."""

    stack: list[Layer]
    head: Layer | None
    sigmoid: Layer | None  # a layer of its own after them
    notes: list[str] = field(default_factory=list[str])

    @property
    def taken(self) -> list[Layer]:
        """The layers in the order in which they act."""
        return [*self.stack, *(layer for layer in (self.head, self.sigmoid) if layer)]


def find_chain(path: Path, layers: dict[str, Layer], stated: Stated) -> Chain:
    """Return the network's layers; ask or refuse where there is no or more than one choice."""
    acting = [layer for layer in layers.values() if not layer.does_nothing]
    stack = _stack(path, acting, stated.only)
    head = _head(acting, stack[-1], stated.head)
    sigmoid = None
    if head is None or dense_activation(path, head) == "linear":
        sigmoid = _sigmoid(acting, head or stack[-1])
    chain = Chain(stack=stack, head=head, sigmoid=sigmoid)
    others = [layer for layer in acting if layer not in chain.taken and layer.kind != "InputLayer"]
    if others and stated.only is None and stated.head is None:
        remedy = f"; --only {stack[0].name} leaves it out"
        raise refuse(path, others[0].name, f"a layer of class {others[0].kind}", remedy)
    idle = [layer.name for layer in layers.values() if layer.does_nothing]
    notes = [f"Does nothing at inference: {', '.join(idle)}."] if idle else []
    if others:
        notes.append(f"Not part of the network: {', '.join(layer.name for layer in others)}.")
    return replace(chain, notes=notes)


def _stack(path: Path, layers: list[Layer], only: str | None) -> list[Layer]:
    stacks: list[list[Layer]] = []
    for layer in layers:
        if layer.kind in RECURRENT:
            before = [stack for stack in stacks if [stack[-1].name] == layer.sources]
            if before:
                before[0].append(layer)
            else:
                stacks.append([layer])
    by_name = {stack[0].name: stack for stack in stacks}
    if not stacks:
        others = [layer for layer in layers if layer.kind not in (*DENSE, "InputLayer")]
        for layer in others:
            raise refuse(path, layer.name, f"a layer of class {layer.kind}")
        raise ConfigError(f"{path}: has no recurrent layer; give a file that has one.")
    if only is not None:
        check_choice("--only", only, by_name)
        return by_name[only]
    if len(stacks) > 1:
        raise ask("only", f"{path} has several stacks of recurrent layers", *by_name)
    return stacks[0]


def _head(layers: list[Layer], last: Layer, stated: str | None) -> Layer | None:
    found = {
        layer.name: layer
        for layer in layers
        if layer.sources == [last.name] and dense_config(layer) is not None
    }
    if stated is not None:
        check_choice("--head", stated, ["none", *found])
        return found.get(stated)
    if len(found) > 1:
        raise ask("head", f"several dense layers take the outputs of {last.name}", *found, "none")
    return next(iter(found.values()), None)


def _sigmoid(layers: list[Layer], last: Layer) -> Layer | None:
    """Return the layer that is the sigmoid of the outputs of `last`, if there is one."""
    for layer in layers:
        if layer.kind == "Activation" and layer.sources == [last.name]:
            return layer if layer.config["activation"] == "sigmoid" else None
    return None


def dense_activation(path: Path, head: Layer) -> str:
    """Return linear or sigmoid; refuse a dense layer with anything else."""
    activation = (dense_config(head) or {})["activation"] or "linear"
    if activation not in ("linear", "sigmoid"):
        what = f"a dense layer with activation={activation!r}"
        raise refuse(path, head.name, what, "; --head none leaves it out")
    return activation


def dense_config(layer: Layer) -> dict[str, Any] | None:
    """Return the config of a dense layer, also of one inside TimeDistributed; else None."""
    if layer.kind == "TimeDistributed":
        inner = layer.config["layer"]
        return inner["config"] if inner["class_name"] == "Dense" else None
    return layer.config if layer.kind == "Dense" else None
