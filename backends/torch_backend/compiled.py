"""The update as one program that Inductor compiles: no operation is called from Python.

The step is traced with its backward pass and compiled without Dynamo, so no guards are checked at
each call, and a program is compiled exactly once for each set of rules, shapes and precision in a
process. Inductor writes it in C++, including the calls of its loops and of the matrix products: in
Python these calls would take half of the time of a small network. Compiled programs are also kept
on disk, in the folder that `TORCHINDUCTOR_CACHE_DIR` names.
"""

import logging
import shutil
import warnings
from functools import partial
from typing import Any

import torch
from torch import Tensor

from backends.torch_backend.optimizers import Tensors
from backends.torch_backend.step import Rules, stacked, step

log = logging.getLogger(__name__)

programs: dict[Any, Any] = {}  # (rules, names and layouts of the tensors, threads) -> program


class Compiled:
    """A compiled update `(rows, n) -> losses (R,)`; see `step.step`.

    It keeps the other arguments of `step`; `n` has the numbers that changed.
    """

    def __init__(
        self, rules: Rules, θ: Tensor, slots: Tensors, data: Tensors, rows: Tensor, n: Tensors
    ) -> None:
        self._n = n
        self._held = [θ, *slots.values(), *data.values()]
        names = [list(group) for group in (slots, data, n)]
        tensors = [*self._held, rows, *n.values()]
        layouts = [(t.shape, t.stride(), t.dtype, t.device) for t in tensors]
        key = (rules, str(names), tuple(layouts), torch.get_num_threads())
        if key not in programs:
            programs[key] = _compile(partial(_flat, rules, names), tensors)
        self._program = programs[key]

    def __call__(self, rows: Tensor, n: Tensors) -> Tensor:
        """Train one step on the samples `rows` with the numbers `n`; return the losses `(R,)`."""
        (losses,) = self._program(*self._held, rows, *(self._n | n).values())
        return losses


def compiler_present() -> bool:
    """Whether there is a C++ compiler, which Inductor needs for the CPU."""
    return any(shutil.which(name) for name in ("g++", "c++", "clang++"))


def _flat(rules: Rules, names: list[list[str]], *tensors: Tensor) -> tuple[Tensor]:
    """Call `step` with a flat list of tensors: θ, slots, data, rows and n."""
    values = iter(tensors)
    θ = next(values)
    slots, data = ({name: next(values) for name in group} for group in names[:2])
    rows, n = next(values), dict(zip(names[2], values, strict=True))
    return (step(rules, stacked, θ, slots, data, rows, n),)


def _compile(function: Any, tensors: list[Tensor]) -> Any:
    log.info("compiling an update; it is kept for later runs of the same shape")
    with warnings.catch_warnings():  # raised by Inductor's use of other parts of PyTorch
        warnings.simplefilter("ignore", DeprecationWarning)
        # On a GPU Inductor recommends TF32 where semantics.tf32 has it off.
        warnings.filterwarnings("ignore", message="TensorFloat32 tensor cores")
        from torch._inductor import compile as inductor
        from torch.fx.experimental.proxy_tensor import make_fx

        traced = make_fx(function, tracing_mode="fake")(*tensors)
        # On a GPU the wrapper would need CUDA's headers, which PyTorch's pip packages lack.
        options = {"cpp_wrapper": tensors[0].device.type == "cpu"}
        return inductor(traced, [*tensors], options)
