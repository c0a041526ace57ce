"""PyTorch: hooks on all models, losses and optimizers of a program that knows nothing of them.

A training is an optimizer that steps. Its model and its loss are known by its first step: they are
what the gradients came from.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from harness.core.errors import ConfigError
from harness.recorder.torch_losses import watch_backward, watch_losses
from harness.recorder.torch_passes import Pass, Passes
from harness.recorder.torch_steps import TorchSteps, parameters_of
from harness.recorder.writer import Writer

REMEDY = "put harness.recorder.torch around the loop instead (docs/recording.md)"
SEEN = (
    "to see the batches of PyTorch, hooks on all modules and optimizers look on, and the losses of "
    "torch.nn.functional and backward pass what they are given on unchanged"
)


class TorchProgram:
    """Watches this process; `begins` is told of each training, and says where to record it."""

    def __init__(self, begins: Callable[[str], Path | None]) -> None:
        self._begins = begins
        self._passes = Passes()
        self._depth = 0  # of calls of modules in each other
        self._outermost: torch.nn.Module | None = None  # that is being called, if it has weights
        self._watched: weakref.WeakSet[torch.nn.Module] = weakref.WeakSet()
        self._stepped: weakref.WeakSet[torch.optim.Optimizer] = weakref.WeakSet()
        self._steps: TorchSteps | None = None  # of the training that is recorded
        register_module_forward_pre_hook(self._before_module)
        register_module_forward_hook(self._after_module, with_kwargs=True, always_call=True)
        register_optimizer_step_pre_hook(self._before_step)
        register_optimizer_step_post_hook(self._after_step)
        watch_losses(self._passes)
        watch_backward(self._passes)

    def _before_module(self, module: torch.nn.Module, args: Any) -> None:
        if torch.compiler.is_compiling():
            return
        self._depth += 1
        if self._depth > 1:
            return
        self._outermost = module if next(module.parameters(), None) is not None else None
        if self._outermost is not None:
            self._passes.before_call(args, {})
            self._watch_gradients(module)

    def _watch_gradients(self, model: torch.nn.Module) -> None:
        if not torch.is_grad_enabled() or model in self._watched:
            return
        self._watched.add(model)
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.register_post_accumulate_grad_hook(self._passes.after_backward)

    def _after_module(self, module: torch.nn.Module, args: Any, kwargs: Any, outputs: Any) -> None:
        if torch.compiler.is_compiling():
            return
        self._depth -= 1
        if self._depth == 0 and module is self._outermost:
            if not args:  # hooks for all modules are not given keywords before a call
                self._passes.before_call(args, kwargs)
            self._passes.after_call(module, outputs)

    def _before_step(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        self._depth = 0  # also after a call that Ctrl-C ended
        if optimizer not in self._stepped:
            self._first_step(optimizer, [*args[1:], *kwargs.values()])
        if self._steps is None:
            return
        if optimizer is self._steps.optimizer:
            self._steps.before_step(args[1:], kwargs)
        else:
            self._steps.before_any_step(optimizer)

    def _after_step(self, optimizer: torch.optim.Optimizer, _args: Any, _kwargs: Any) -> None:
        if self._steps is not None and optimizer is self._steps.optimizer:
            self._steps.after_step()
        else:
            self._passes.take(parameters_of(optimizer))

    def _first_step(self, optimizer: torch.optim.Optimizer, given: list[Any]) -> None:
        parameters = parameters_of(optimizer)
        has_closure = any(callable(value) for value in given)
        if not has_closure and all(parameter.grad is None for parameter in parameters):
            return  # it moves nothing
        self._stepped.add(optimizer)
        passes = self._passes.of(parameters)
        models = list(dict.fromkeys(model for found in passes for model in found.models))
        name = type(optimizer).__name__
        over = f" over {', '.join(type(model).__name__ for model in models)}" if models else ""
        folder = self._begins(f"PyTorch, {name}{over}")
        if folder is None:
            return
        if has_closure:
            raise ConfigError(
                f"{name}: its step is given a closure, as LBFGS and Lightning do; what such a step "
                "computes cannot be recorded. Use an optimizer that steps after loss.backward()."
            )
        if not models:
            raise ConfigError(
                f"{name}: its gradients do not come from a loss of torch.nn (nn.MSELoss, "
                "functional.mse_loss, …) of the outputs of an nn.Module, so its samples cannot be "
                f"seen; {REMEDY}."
            )
        self._steps = self._begin(folder, models, optimizer, passes)

    def _begin(
        self,
        folder: Path,
        models: list[torch.nn.Module],
        optimizer: torch.optim.Optimizer,
        passes: list[Pass],
    ) -> TorchSteps:
        writer = Writer(folder, "torch", ["torch"])
        writer.note(SEEN)
        if len(models) > 1:
            names = " and ".join(type(model).__name__ for model in models)
            writer.note(f"the program calls {names} one after another: recorded as one model")
        model = models[0] if len(models) == 1 else torch.nn.ModuleList(models)
        axis = _batch_axis(model, passes[0], writer.note)
        steps = TorchSteps(writer, model, optimizer, self._passes, axis)
        steps.begin(passes[0].loss_fn, passes[0].settings.get("reduction", "mean"))
        return steps


def _batch_axis(model: torch.nn.Module, found: Pass, note: Callable[[str], None]) -> int:
    """Return the axis of the samples in x: the one that is as long as y, 1 for (T, N, F)."""
    x, y = tuple(getattr(found.x, "shape", ())), tuple(getattr(found.y, "shape", ()))
    fitting = [axis for axis in (0, 1) if x[axis : axis + 1] == y[:1] != ()]
    stacks = [module for module in model.modules() if isinstance(module, torch.nn.RNNBase)]
    time_first = len(stacks) > 0 and not any(stack.batch_first for stack in stacks)
    if fitting == [0, 1] and time_first:
        note(f"x {x} may be (T, N, F) or (N, T, F): taken for the first, as batch_first=False")
        return 1
    return fitting[0] if fitting else 0
