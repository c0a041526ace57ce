"""The update as one program, compiled by Inductor: no operation is called from Python any more.

The step is traced with its backward pass and compiled without Dynamo, so there are no guards to
check at each call, and it is known when something is compiled: once for each set of rules, shapes
and precision in a process. Inductor writes it in C++, that which calls its loops and the matrix
products included: in Python that would take half of the time of a small network. It keeps what it
compiled on disk, too, in the folder that `TORCHINDUCTOR_CACHE_DIR` names.
"""

import logging
import shutil
import warnings
from functools import partial
from typing import Any

import torch
from torch import Tensor

from backends.torch_backend.cells import network
from backends.torch_backend.optimizers import Tensors
from backends.torch_backend.step import Rules, step

log = logging.getLogger(__name__)

programs: dict[Any, Any] = {}  # (rules, names and forms of the tensors, threads) -> program


class Compiled:
    """`(rows, n) -> losses (R,)`: see `step.step`, whose other arguments it holds; `n` has
    the numbers that changed."""

    def __init__(
        self, rules: Rules, θ: Tensor, slots: Tensors, data: Tensors, rows: Tensor, n: Tensors
    ) -> None:
        self._n = n
        self._held = [θ, *slots.values(), *data.values()]
        names = [list(group) for group in (slots, data, n)]
        tensors = [*self._held, rows, *n.values()]
        forms = [(t.shape, t.stride(), t.dtype, t.device) for t in tensors]
        key = (rules, str(names), tuple(forms), torch.get_num_threads())
        if key not in programs:
            programs[key] = _compile(partial(_flat, rules, names), tensors)
        self._program = programs[key]

    def __call__(self, rows: Tensor, n: Tensors) -> Tensor:
        """Train one step on the samples `rows` with the numbers `n`; return the losses `(R,)`."""
        (losses,) = self._program(*self._held, rows, *(self._n | n).values())
        return losses


def compiler_present() -> bool:
    """Inductor writes C++ for the CPU."""
    return any(shutil.which(name) for name in ("g++", "c++", "clang++"))


def _flat(rules: Rules, names: list[list[str]], *tensors: Tensor) -> tuple[Tensor]:
    """The step as a function of a flat list of tensors: θ, slots, data, rows and n."""
    values = iter(tensors)
    θ = next(values)
    slots, data = ({name: next(values) for name in group} for group in names[:2])
    rows, n = next(values), dict(zip(names[2], values, strict=True))
    return (step(rules, network, θ, slots, data, rows, n),)


def _compile(function: Any, tensors: list[Tensor]) -> Any:
    log.info("compiling an update; it is kept for later runs of the same shape")
    with warnings.catch_warnings():  # of parts of PyTorch that Inductor still uses
        warnings.simplefilter("ignore", DeprecationWarning)
        from torch._inductor import compile as inductor
        from torch.fx.experimental.proxy_tensor import make_fx

        traced = make_fx(function, tracing_mode="fake")(*tensors)
        # On a GPU that would need CUDA's headers, which its pip packages do not bring.
        options = {"cpp_wrapper": tensors[0].device.type == "cpu"}
        return inductor(traced, [*tensors], options)
