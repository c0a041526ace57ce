"""PyTorch: hooks on one model, its loss and its optimizer, which look on and change no number."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

from harness.recorder.torch_passes import Passes
from harness.recorder.torch_steps import TorchSteps, parameters_of
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
        self._model, self._optimizer = model, optimizer
        self._writer = Writer(folder, "torch", ["torch"])
        self._passes = Passes()
        self._steps = TorchSteps(self._writer, model, optimizer, self._passes, batch_axis)
        self._steps.begin(loss_fn, getattr(loss_fn, "reduction", None))
        self._handles: list[Any] = []

    def __enter__(self) -> TorchRecorder:
        passes, steps, add = self._passes, self._steps, self._handles.append
        add(
            self._model.register_forward_pre_hook(
                lambda _, args, kwargs: passes.before_call(args, kwargs), with_kwargs=True
            )
        )
        add(
            self._model.register_forward_hook(
                lambda model, _, outputs: passes.after_call(model, outputs)
            )
        )
        if isinstance(self.loss_fn, torch.nn.Module):
            add(self.loss_fn.register_forward_hook(self._after_loss, with_kwargs=True))
        for parameter in parameters_of(self._optimizer):
            if parameter.requires_grad:
                add(parameter.register_post_accumulate_grad_hook(passes.after_backward))
        add(
            self._optimizer.register_step_pre_hook(
                lambda _, args, kwargs: steps.before_step(args[1:], kwargs)
            )
        )
        add(self._optimizer.register_step_post_hook(lambda *_: steps.after_step()))
        add(register_optimizer_step_pre_hook(lambda other, *_: steps.before_any_step(other)))
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
            self._after_loss(function, args, kwargs, loss)
            return loss

        return loss_fn

    def _after_loss(self, loss_fn: Any, args: Any, kwargs: Any, loss: Any) -> None:
        given = dict(zip(("input", "target"), args, strict=False)) | kwargs
        prediction, target = (given.get(name) for name in ("input", "target"))
        self._passes.after_loss(loss_fn, {}, prediction, target, loss)
