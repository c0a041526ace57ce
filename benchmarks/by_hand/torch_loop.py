"""A plain PyTorch loop: `nn.RNN` and its siblings, Adam, the data in two tensors; also compiled.

`torch.compile` leaves PyTorch's recurrent layers out (they break the graph) unless Dynamo's
`allow_rnn` is set. It then unrolls them, and compiles for longer the longer the sequences are.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.by_hand.data import samples
from benchmarks.cases import FEATURES, OUTPUTS, Case
from benchmarks.timing import Epoch

LAYERS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


class Network(nn.Module):
    def __init__(self, cell: str, units: int) -> None:
        super().__init__()
        self.rnn = LAYERS[cell](FEATURES, units, batch_first=True)
        self.head = nn.Linear(units, OUTPUTS)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, T, F)` -> `(B, O)`."""
        h, _ = self.rnn(x)
        return self.head(h[:, -1])


def build(case: Case) -> Epoch:
    network = Network(case.cell, case.units)
    return loop(case, network, network)


def build_compiled(case: Case) -> Epoch:
    torch.compiler.reset()  # a process compiles anew only so often for networks of one class
    network = Network(case.cell, case.units)
    return loop(case, network, torch.compile(network))


def build_compiled_whole(case: Case) -> Epoch:
    compiled = build_compiled(case)

    def epoch() -> None:
        with torch._dynamo.config.patch(allow_rnn=True):
            compiled()

    return epoch


def loop(case: Case, network: nn.Module, forward: Callable[[Tensor], Tensor]) -> Epoch:
    """`forward` is the network, or what became of it."""
    x, y = map(torch.from_numpy, samples(case))
    optimizer = torch.optim.Adam(network.parameters())
    criterion = nn.MSELoss()

    def epoch() -> None:
        total = 0.0
        for rows in torch.randperm(len(x)).split(case.batch):
            optimizer.zero_grad()
            loss = criterion(forward(x[rows]), y[rows])
            loss.backward()
            optimizer.step()
            total += loss.item()

    return epoch
