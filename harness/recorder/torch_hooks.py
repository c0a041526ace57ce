"""PyTorch: hooks on the model, the loss and the optimizer, which look on and change no number.

A step is what the optimizer does with the gradients of one loss or several. Only losses whose
gradients were computed count, so an evaluation in between is not taken for a part of it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

from harness.core.arrays import Array
from harness.recorder.torch_notes import note_forward, note_rules
from harness.recorder.writer import Writer


class TorchRecorder:
    """A context in which the steps of one optimizer are recorded, written at its end."""

    def __init__(
        self,
        folder: str | Path,
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        loss_fn: Callable[..., Any],
        batch_axis: int,
    ) -> None:
        self.loss_fn = loss_fn if isinstance(loss_fn, torch.nn.Module) else self._recorded(loss_fn)
        self._model, self._optimizer, self._batch_axis = model, optimizer, batch_axis
        self._writer = Writer(folder, "torch", ["torch"])
        self._writer.initial = {n: self._array(v) for n, v in model.state_dict().items()}
        self._writer.stated = _stated(model, optimizer, loss_fn)
        note_rules(self._writer.note, model, optimizer, batch_axis)
        self._handles: list[Any] = []
        self._inputs: Any = None  # what the model was last called with
        self._passes: list[tuple[float, list[int] | None]] = []  # losses with gradients, batches
        self._norms: dict[torch.Tensor, float] = {}  # of each parameter, after the backward pass
        self._step: dict[str, Any] = {}  # known before the optimizer's step

    def __enter__(self) -> TorchRecorder:
        add = self._handles.append
        add(self._model.register_forward_pre_hook(self._before_forward, with_kwargs=True))
        add(self._model.register_forward_hook(self._after_forward))
        if isinstance(self.loss_fn, torch.nn.Module):
            add(self.loss_fn.register_forward_hook(self._after_loss, with_kwargs=True))
        for parameter in self._parameters():
            if parameter.requires_grad:
                add(parameter.register_post_accumulate_grad_hook(self._after_backward))
        add(self._optimizer.register_step_pre_hook(self._before_step))
        add(self._optimizer.register_step_post_hook(self._after_step))
        add(register_optimizer_step_pre_hook(self._before_any_step))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for handle in self._handles:
            handle.remove()
        self._writer.write()

    def _recorded(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the loss as a function to be called in place of the program's own."""

        def loss_fn(*args: Any, **kwargs: Any) -> Any:
            loss = function(*args, **kwargs)
            self._after_loss(None, args, kwargs, loss)
            return loss

        return loss_fn

    def _parameters(self) -> list[torch.Tensor]:
        return [p for group in self._optimizer.param_groups for p in group["params"]]

    def _before_forward(self, _module: Any, args: Any, kwargs: Any) -> None:
        given = [*args, *kwargs.values()]
        if torch.is_grad_enabled():  # a copy: the model may work on its input in place
            first = given[0] if given else None
            self._inputs = first.detach().clone() if isinstance(first, torch.Tensor) else first
        if sum(isinstance(value, torch.Tensor) for value in given) > 1:
            self._writer.note("the model takes several tensors: the first was recorded as x")
        self._random_state = torch.get_rng_state()

    def _after_forward(self, module: torch.nn.Module, _args: Any, outputs: Any) -> None:
        if torch.is_grad_enabled():
            drawn = not torch.equal(self._random_state, torch.get_rng_state())
            note_forward(self._writer.note, module, outputs, drawn)

    def _after_loss(self, _module: Any, args: Any, kwargs: Any, loss: Any) -> None:
        if not (isinstance(loss, torch.Tensor) and loss.requires_grad):
            return
        target = kwargs.get("target", args[1] if len(args) > 1 else None)
        batch = self._numbers(self._inputs, target)
        if loss.numel() != 1:
            self._writer.note(f"the loss has shape {tuple(loss.shape)}; its mean was recorded")
        value = float(loss.detach().double().mean())

        def after_gradient(gradient: torch.Tensor) -> None:
            if gradient.numel() == 1 and float(gradient) != 1:
                self._writer.note(
                    "the loss was multiplied before its backward pass; recorded as the loss_fn "
                    "gave it"
                )
            self._passes.append((value, batch))

        loss.register_hook(after_gradient)

    def _numbers(self, x: Any, y: Any) -> list[int] | None:
        if not (isinstance(x, torch.Tensor) and isinstance(y, torch.Tensor)):
            self._writer.note("the model's input or the loss's target is no tensor")
            return None
        axis = self._batch_axis
        batch = {"x": self._array(x), "y": self._array(y)}
        y_axis = axis if y.dim() > axis and y.shape[:axis] == x.shape[:axis] else 0
        if x.dim() <= axis or y.dim() == 0 or x.shape[axis] != y.shape[y_axis]:
            self._writer.note(
                f"x {tuple(x.shape)} and y {tuple(y.shape)} have no axis of samples in common; "
                f"batch_axis={axis} was stated, 1 is for (T, N, F)"
            )
            return None
        batch["x"], batch["y"] = (
            np.moveaxis(batch["x"], axis, 0),
            np.moveaxis(batch["y"], y_axis, 0),
        )
        return self._writer.rows.add(batch)

    def _after_backward(self, parameter: torch.Tensor) -> None:
        self._norms[parameter] = _norm(parameter)

    def _before_any_step(self, optimizer: Any, _args: Any, _kwargs: Any) -> None:
        own = {id(p) for p in self._model.parameters()}
        stepped = {id(p) for group in optimizer.param_groups for p in group["params"]}
        if optimizer is not self._optimizer and own & stepped:
            self._writer.note("several optimizers: the steps of one alone were recorded")

    def _before_step(self, _optimizer: Any, args: Any, kwargs: Any) -> None:
        groups = self._optimizer.param_groups
        self._step = {"learning_rates": [float(group["lr"]) for group in groups]}
        if any(callable(value) for value in [*args[1:], *kwargs.values()]):
            self._writer.note("the step was given a closure: gradient norms are not known")
            self._passes.clear()
        elif set(self._norms) == {p for p in self._parameters() if p.grad is not None}:
            at_step = {parameter: _norm(parameter) for parameter in self._norms}
            if at_step != self._norms:
                self._writer.note(
                    "gradients were changed between the backward pass and the step, as clipping "
                    "does; see gradient_norms"
                )
            pair = [list(self._norms.values()), list(at_step.values())]
            self._step["gradient_norms"] = np.linalg.norm(pair, axis=1).tolist()

    def _after_step(self, _optimizer: Any, _args: Any, _kwargs: Any) -> None:
        if _groups(self._optimizer) != self._writer.stated["param_groups"]:
            self._writer.note("the optimizer's settings changed: param_groups are those at first")
        if len(self._passes) > 1:
            self._writer.note(
                "several backward passes before a step (gradient accumulation): their samples were "
                "recorded as one batch, their mean loss as its loss"
            )
        if self._passes:
            self._step["losses"] = float(np.mean([loss for loss, _ in self._passes]))
            if all(batch is not None for _, batch in self._passes):
                self._step["batches"] = [n for _, batch in self._passes for n in batch or []]
        self._writer.add_step(**self._step)
        self._passes, self._norms = [], {}

    def _array(self, tensor: torch.Tensor) -> Array:
        """Return a copy as NumPy holds it."""
        if tensor.dtype == torch.bfloat16:
            self._writer.note("bfloat16 was recorded as float32, which has all of its values")
            tensor = tensor.float()
        return tensor.detach().cpu().numpy().copy()


def _norm(parameter: torch.Tensor) -> float:
    gradient = parameter.grad
    assert gradient is not None
    gradient = gradient.coalesce().values() if gradient.is_sparse else gradient
    return float(torch.linalg.vector_norm(gradient.detach(), dtype=torch.float64))


def _stated(model: torch.nn.Module, optimizer: torch.optim.Optimizer, loss_fn: Any) -> Any:
    """Return what the program's objects say of its rules, as JSON can hold it."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = [
        [names.get(id(p), "not of the model") for p in group["params"]]
        for group in optimizer.param_groups
    ]
    return {
        "model": str(model),
        "loss": getattr(loss_fn, "__name__", str(loss_fn)),
        "reduction": getattr(loss_fn, "reduction", None),
        "optimizer": type(optimizer).__name__,
        "param_groups": _groups(optimizer),
        "group_parameters": groups,
        "frozen": [name for name, p in model.named_parameters() if not p.requires_grad],
        "device": str(next((p.device for p in model.parameters()), "cpu")),
        "threads": torch.get_num_threads(),
    }


def _groups(optimizer: torch.optim.Optimizer) -> list[dict[str, Any]]:
    """Return each group's settings but its learning rate, which is recorded at every step."""
    return [
        {name: value for name, value in group.items() if name not in ("params", "lr")}
        for group in optimizer.param_groups
    ]
