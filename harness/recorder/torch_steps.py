"""PyTorch: the steps of one optimizer, each with the losses whose gradients it used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from harness.core.arrays import Array
from harness.recorder.torch_notes import groups, note_rules, stated
from harness.recorder.torch_passes import Pass, Passes, norm
from harness.recorder.writer import Writer


class TorchSteps:
    """Records into `writer` what `optimizer` does with the gradients in `passes`."""

    def __init__(
        self,
        writer: Writer,
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        passes: Passes,
        batch_axis: int,
    ) -> None:
        self.optimizer = optimizer
        self._writer, self._model, self._passes = writer, model, passes
        self._batch_axis = batch_axis
        self._step: dict[str, Any] = {}  # known before the optimizer's step

    def begin(self, loss_fn: Callable[..., Any], reduction: str | None) -> None:
        """Record what is known before the first step."""
        self._writer.initial = {n: self._array(v) for n, v in self._model.state_dict().items()}
        self._writer.stated = stated(self._model, self.optimizer, loss_fn, reduction)
        note_rules(self._writer.note, self._model, self.optimizer, self._batch_axis)

    def before_any_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Note a step of another optimizer of the model."""
        own = {id(p) for p in self._model.parameters()}
        stepped = {id(p) for p in parameters_of(optimizer)}
        if optimizer is not self.optimizer and own & stepped:
            self._writer.note("several optimizers: the steps of one alone were recorded")

    def before_step(self, args: Any, kwargs: Any) -> None:
        """Keep the learning rates and the norms of the gradients that the step will have."""
        self._step = {"learning_rates": [float(g["lr"]) for g in self.optimizer.param_groups]}
        parameters = parameters_of(self.optimizer)
        before = {p: self._passes.norms[p] for p in parameters if p in self._passes.norms}
        if any(callable(value) for value in [*args, *kwargs.values()]):
            self._writer.note("the step was given a closure: gradient norms are not known")
            self._passes.take(parameters)
        elif set(before) == {p for p in parameters if p.grad is not None}:
            at_step = {parameter: norm(parameter) for parameter in before}
            if at_step != before:
                self._writer.note(
                    "gradients were changed between the backward pass and the step, as clipping "
                    "does; see gradient_norms"
                )
            pair = [list(before.values()), list(at_step.values())]
            self._step["gradient_norms"] = np.linalg.norm(pair, axis=1).tolist()

    def after_step(self) -> None:
        """Record the step."""
        if groups(self.optimizer) != self._writer.stated["param_groups"]:
            self._writer.note("the optimizer's settings changed: param_groups are those at first")
        passes = self._passes.take(parameters_of(self.optimizer))
        if len(passes) > 1:
            self._writer.note(
                "several backward passes before a step (gradient accumulation): their samples were "
                "recorded as one batch, their mean loss as its loss"
            )
        for note in (note for found in passes for note in found.notes):
            self._writer.note(note)
        if passes:
            self._step["losses"] = float(np.mean([found.loss for found in passes]))
            batches = [self._numbers(found) for found in passes]
            if all(batch is not None for batch in batches):
                self._step["batches"] = [n for batch in batches for n in batch or []]
        self._writer.add_step(**self._step)

    def _numbers(self, found: Pass) -> list[int] | None:
        """Return the numbers of a pass's samples, or None and say why."""
        x, y, axis = found.x, found.y, self._batch_axis
        if not (isinstance(x, torch.Tensor) and isinstance(y, torch.Tensor)):
            self._writer.note("the model's input or the loss's target is no tensor")
            return None
        y_axis = axis if y.dim() > axis and y.shape[:axis] == x.shape[:axis] else 0
        if x.dim() <= axis or y.dim() == 0 or x.shape[axis] != y.shape[y_axis]:
            self._writer.note(
                f"x {tuple(x.shape)} and y {tuple(y.shape)} have no axis of samples in common; "
                f"batch_axis={axis} was stated, 1 is for (T, N, F)"
            )
            return None
        batch = {"x": (x, axis), "y": (y, y_axis)}
        arrays = {name: np.moveaxis(self._array(v), at, 0) for name, (v, at) in batch.items()}
        return self._writer.rows.add(arrays)

    def _array(self, tensor: torch.Tensor) -> Array:
        """Return a copy as NumPy holds it."""
        if tensor.dtype == torch.bfloat16:
            self._writer.note("bfloat16 was recorded as float32, which has all of its values")
            tensor = tensor.float()
        return tensor.detach().cpu().numpy().copy()


def parameters_of(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    """Return the parameters that an optimizer moves."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]
