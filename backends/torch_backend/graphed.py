"""The update as a CUDA graph: recorded once, then launched as one, however many kernels it has.

A graph is bound to the memory that it was recorded with. So each backend has its own graphs, one
for each batch size; the sample indices and the changing numbers are copied to the recorded memory.
"""

from typing import Any

import torch
from torch import Tensor

from backends.torch_backend.optimizers import Tensors
from backends.torch_backend.step import Rules, stacked, step

WARM_UP = 3  # updates before recording, in which libraries choose their algorithms


class Graphed:
    """A recorded update `(rows, n) -> losses (R,)`; see `compiled.Compiled`."""

    def __init__(
        self, rules: Rules, θ: Tensor, slots: Tensors, data: Tensors, rows: Tensor, n: Tensors
    ) -> None:
        self._rows, self._n = rows.clone(), copies(n)
        side: Any = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):  # on copies: an update changes weights in place
            for _ in range(WARM_UP):
                step(rules, stacked, θ.clone(), copies(slots), data, self._rows, self._n)
        torch.cuda.current_stream().wait_stream(side)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):  # records without running
            self._losses = step(rules, stacked, θ, slots, data, self._rows, self._n)

    def __call__(self, rows: Tensor, n: Tensors) -> Tensor:
        """Train one step on the samples `rows` with the numbers `n`; return the losses `(R,)`."""
        self._rows.copy_(rows)
        for name, value in n.items():
            self._n[name].copy_(value)
        self._graph.replay()
        return self._losses.clone()


def copies(tensors: Tensors) -> Tensors:
    """Return copies of the tensors."""
    return {name: tensor.clone() for name, tensor in tensors.items()}
