"""An update can be recorded as a CUDA graph: it never waits for the GPU, nor reads host memory.

A recording would fail at the first, and keep what it read at the second for ever. To see both
without a GPU, the update is traced on tensors that have shapes but no memory.
"""

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from backends.torch_backend.backend import TorchBackend
from backends.torch_backend.optimizers import rates
from backends.torch_backend.step import stacked, step
from tests.support.problems import Case

CASES = [
    Case("graph-rnn", optimizer="adam", lr=0.01, clip=0.1),
    Case("graph-masked", "gru", masked=True, returns="every_step", loss="bce", momentum=0.9),
    Case("graph-lstm", "lstm", layers=2, optimizer="rmsprop", replicas=3, weight_decay=0.1),
    Case("graph-bce", loss="bce", rules=(("bce", "log_clamped"),), nesterov=True, momentum=0.9),
]
# They return a number, or a shape that depends on one, for which the host waits.
WAITS = {"_local_scalar_dense", "item", "nonzero", "masked_select", "unique", "equal"}


class Recorder(TorchDispatchMode):
    """A record of the operations that no graph may have."""

    def __init__(self) -> None:
        super().__init__()
        self.operations = 0
        self.refused: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        tensors = [t for t in tree_leaves((args, kwargs, result)) if isinstance(t, torch.Tensor)]
        name = func.overloadpacket.__name__
        on_host = any(tensor.device.type == "cpu" for tensor in tensors)
        self.operations += 1
        if name in WAITS or on_host:
            self.refused.append(name)
        return result


def recorded(function: Any, tensors: Any) -> Recorder:
    """Call a function with tensors of the same shapes, without memory."""
    shapes = tree_map(lambda tensor: tensor.to("meta"), tensors)
    with Recorder() as recorder:
        function(*shapes)
    return recorder


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_update_can_be_recorded(case: Case) -> None:
    problem = case.problem("float32", 2)
    backend = problem.build(TorchBackend)
    assert isinstance(backend, TorchBackend)
    changing = rates(backend.training, problem.lr[:1], 0)
    numbers = {n: torch.tensor(v[0], dtype=torch.float32)[:, None] for n, v in changing.items()}
    rows = torch.as_tensor(problem.batches[0])
    arguments = (backend.weights, backend.slots, backend.data, rows, backend.numbers | numbers)
    recorder = recorded(lambda *tensors: step(backend.rules, stacked, *tensors), arguments)
    assert recorder.operations > 30
    assert recorder.refused == []


@pytest.mark.parametrize(
    "wrong",
    [
        lambda x: x.to("cpu"),
        lambda x: x * torch.tensor(2.0),  # a later value of that number would not be seen
        lambda x: x.sum().item(),
        lambda x: x[x > 0],
    ],
)
def test_what_cannot_be_recorded_is_seen(wrong: Any) -> None:
    try:
        refused = recorded(wrong, (torch.ones(3),)).refused
    except RuntimeError as error:  # a tensor without memory has no number
        refused = [str(error)]
    assert refused
