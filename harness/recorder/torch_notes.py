"""What a PyTorch program's objects say of its rules, and what no recording holds of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

Note = Callable[[str], None]


def note_rules(
    note: Note, model: torch.nn.Module, optimizer: torch.optim.Optimizer, batch_axis: int
) -> None:
    """Note what the model and the optimizer show before training."""
    if optimizer.state:
        note("the optimizer has stepped before: its state (momentum, Adam's averages) is not here")
    own = {id(parameter) for parameter in model.parameters()}
    if any(id(p) not in own for group in optimizer.param_groups for p in group["params"]):
        note("the optimizer has parameters that are not of the model: not recorded")
    types = {str(p.dtype).removeprefix("torch.") for p in model.parameters()}
    if len(types) > 1:
        note(f"mixed precision: parameters are {', '.join(sorted(types))}")
    stacks = [m for m in model.modules() if isinstance(m, torch.nn.RNNBase)]
    if batch_axis == 0 and any(not stack.batch_first for stack in stacks):
        note(
            "a recurrent layer has batch_first=False, and the first axis is taken for the samples: "
            "right only if the model itself swaps the axes"
        )


def forward_notes(model: torch.nn.Module, outputs: Any, drawn: bool) -> list[str]:
    """Return what a forward pass shows; `drawn` says that it drew random numbers on the CPU."""
    notes = []
    dropping = [m for m in model.modules() if m.training and _drops(m)]
    if drawn or dropping:
        notes.append("the forward pass draws random numbers (dropout), which are not recorded")
    first = outputs[0] if isinstance(outputs, tuple | list) and outputs else outputs
    kind = first.device.type if isinstance(first, torch.Tensor) else "cpu"
    if torch.is_autocast_enabled(kind):
        notes.append(f"mixed precision: autocast to {torch.get_autocast_dtype(kind)} on {kind}")
    return notes


def stated(
    model: torch.nn.Module, optimizer: torch.optim.Optimizer, loss_fn: Any, reduction: str | None
) -> dict[str, Any]:
    """Return what the program's objects say of its rules, as JSON can hold it."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    group_parameters = [
        [names.get(id(p), "not of the model") for p in group["params"]]
        for group in optimizer.param_groups
    ]
    return {
        "model": str(model),
        "loss": getattr(loss_fn, "__name__", str(loss_fn)),
        "reduction": reduction,
        "optimizer": type(optimizer).__name__,
        "param_groups": groups(optimizer),
        "group_parameters": group_parameters,
        "frozen": [name for name, p in model.named_parameters() if not p.requires_grad],
        "device": str(next((p.device for p in model.parameters()), "cpu")),
        "threads": torch.get_num_threads(),
    }


def groups(optimizer: torch.optim.Optimizer) -> list[dict[str, Any]]:
    """Return each group's settings but its learning rate, which is recorded at every step."""
    return [
        {name: value for name, value in group.items() if name not in ("params", "lr")}
        for group in optimizer.param_groups
    ]


def _drops(module: torch.nn.Module) -> bool:
    """Return whether a module drops values at random, on any device."""
    if isinstance(module, torch.nn.RNNBase):
        return module.dropout > 0 and module.num_layers > 1
    is_dropout = isinstance(module, torch.nn.modules.dropout._DropoutNd)  # noqa: SLF001
    return is_dropout and module.p > 0
