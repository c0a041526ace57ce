"""PyTorch: which calls of a model a loss was computed from, by the graph of its gradients.

Each call is kept in the metadata of its outputs' nodes, so that it lives as long as they do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

KEY = "harness.recorder call"


@dataclass(frozen=True, eq=False)
class Call:
    """A call of a model with gradients."""

    model: torch.nn.Module
    x: Any  # a copy of what it was first given
    from_data: bool  # whether x was not computed from weights, as another model's output is
    from_weights: bool  # whether anything given was, as a hidden state is that a model returned
    notes: list[str]


def mark(call: Call, outputs: Any) -> None:
    """Keep a call with its outputs, which may be nested."""
    for tensor in tensors_of(outputs):
        if tensor.grad_fn is not None:
            metadata(tensor)[KEY] = call


def calls_behind(loss: torch.Tensor) -> list[Call]:
    """Return the calls that a loss was computed from, the earliest first."""
    found: dict[Call, None] = {}
    nodes: list[Any] = [loss.grad_fn]
    seen = set()
    while nodes:
        node = nodes.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        call = node.metadata.get(KEY)
        if call is not None:
            found[call] = None
        if call is None or call.from_weights:
            nodes += [following for following, _ in node.next_functions]
    return list(found)[::-1]


def source(calls: list[Call], notes: list[str]) -> Any:
    """Return the one input from which the calls began, or None and say why."""
    inputs = [call.x for call in calls if call.from_data]
    if len(inputs) == 1 and len({id(call.model) for call in calls}) == len(calls):
        return inputs[0]
    if calls:
        notes.append(
            "a loss was computed from several calls of the model: its samples are not known"
        )
    else:
        notes.append("a loss was computed from no call of the model: its samples are not known")
    return None


def metadata(tensor: torch.Tensor) -> dict[str, Any]:
    """Return what PyTorch lets one keep with the node that computed a tensor."""
    node: Any = tensor.grad_fn
    return node.metadata


def tensors_of(values: Any) -> Iterator[torch.Tensor]:
    """Yield the tensors among what a model is given or returns, which may be nested."""
    if isinstance(values, torch.Tensor):
        yield values
    elif isinstance(values, dict | tuple | list):
        for value in values.values() if isinstance(values, dict) else values:
            yield from tensors_of(value)
