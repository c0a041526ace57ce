"""PyTorch: see each loss that a program computes, and on what it calls backward.

The modules such as `nn.MSELoss` call the functions of `torch.nn.functional`, so these are enough.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch.nn import functional

from harness.recorder.torch_calls import metadata
from harness.recorder.torch_passes import KEY, Passes


def watch_losses(passes: Passes) -> None:
    """Tell `passes` of each loss of a prediction and a target from now on."""
    for name, function in list(vars(functional).items()):
        if inspect.isfunction(function):
            parameters = inspect.signature(function).parameters
            if {"input", "target", "reduction"} <= set(parameters):
                setattr(functional, name, _watched(function, passes))


def watch_backward(passes: Passes) -> None:
    """Tell `passes` from now on of which losses gradients are computed by `backward`."""
    original: Any = torch.autograd.backward

    @wraps(original)
    def backward(tensors: Any, *args: Any, **kwargs: Any) -> Any:
        roots = [tensors] if isinstance(tensors, torch.Tensor) else list(tensors)
        computed = [root for root in roots if getattr(root, "grad_fn", None) is not None]
        passes.roots = [metadata(root).get(KEY) for root in computed]
        try:
            return original(roots, *args, **kwargs)
        finally:
            passes.roots = None

    torch.autograd.backward = backward


def _watched(function: Callable[..., Any], passes: Passes) -> Callable[..., Any]:
    signature = inspect.signature(function)
    defaults = {name: parameter.default for name, parameter in signature.parameters.items()}

    @wraps(function)
    def loss_fn(*args: Any, **kwargs: Any) -> Any:
        loss = function(*args, **kwargs)
        if not torch.compiler.is_compiling():
            given = signature.bind(*args, **kwargs).arguments
            prediction, target = (given.pop(name, None) for name in ("input", "target"))
            changed = {n: v for n, v in given.items() if v is not None and v is not defaults[n]}
            passes.after_loss(function, changed, prediction, target, loss)
        return loss

    return loss_fn
