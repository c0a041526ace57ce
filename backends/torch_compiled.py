"""The update as one program, compiled by Inductor: no operation is called from Python any more.

The step is traced with its backward pass and compiled without Dynamo, so there are no guards to
check at each call, and it is known when something is compiled: once for each set of rules, shapes
and precision in a process. Inductor keeps what it compiled on disk, too, in the folder that
`TORCHINDUCTOR_CACHE_DIR` names.
"""

import logging
import shutil
import warnings
from functools import partial
from typing import Any

import torch
from torch import Tensor

from backends.torch_cells import network
from backends.torch_optimizers import Tensors
from backends.torch_step import Rules, step

log = logging.getLogger(__name__)

programs: dict[Any, Any] = {}  # (rules, names and forms of the tensors, threads) -> program


def compiler_present() -> bool:
    """Inductor writes C++ for the CPU."""
    return any(shutil.which(name) for name in ("g++", "c++", "clang++"))


def compiled_step(
    rules: Rules, θ: Tensor, slots: Tensors, data: Tensors, rows: Tensor, n: Tensors
) -> Tensor:
    """See `torch_step.step`."""
    groups = (slots, data, n)
    tensors = [θ, rows, *(tensor for group in groups for tensor in group.values())]
    key = (rules, tuple(tuple(group) for group in groups), torch.get_num_threads())
    key += tuple((t.shape, t.stride(), t.dtype, t.device) for t in tensors)
    if key not in programs:
        programs[key] = _compile(partial(_flat, rules, groups), tensors)
    (losses,) = programs[key](*tensors)
    return losses


def _flat(rules: Rules, groups: tuple[Tensors, ...], *tensors: Tensor) -> tuple[Tensor]:
    """The step as a function of a flat list of tensors, whose names `groups` holds."""
    θ, rows, *rest = tensors
    values = iter(rest)
    slots, data, n = ({name: next(values) for name in group} for group in groups)
    return (step(rules, network, θ, slots, data, rows, n),)


def _compile(function: Any, tensors: list[Tensor]) -> Any:
    log.info("compiling an update; it is kept for later runs of the same shape")
    copies = [tensor.clone() for tensor in tensors]  # tracing runs the step, in place
    with warnings.catch_warnings():  # of parts of PyTorch that Inductor still uses
        warnings.simplefilter("ignore", DeprecationWarning)
        from torch._inductor import compile as inductor
        from torch.fx.experimental.proxy_tensor import make_fx

        return inductor(make_fx(function)(*copies), [*copies])
