"""A plain PyTorch loop: `nn.RNN` and its siblings, Adam, the data in two tensors; also compiled.

`torch.compile` does not compile PyTorch's recurrent layers: they break the graph. Dynamo's
`allow_rnn` would unroll them; PyTorch 2.13 then compiles for a minute at 10 time steps, and fails
on an LSTM ("expected Tensor() for op mkldnn_rnn_layer"), so no user would use it.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.by_hand.data import samples
from benchmarks.common.cases import FEATURES, OUTPUTS, Case
from benchmarks.common.timing import Epoch

LAYERS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


class Network(nn.Module):
    """A recurrent layer and a dense head."""

    def __init__(self, cell: str, units: int) -> None:
        super().__init__()
        self.rnn = LAYERS[cell](FEATURES, units, batch_first=True)
        self.head = nn.Linear(units, OUTPUTS)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, T, F)` to `(B, O)`."""
        h, _ = self.rnn(x)
        return self.head(h[:, -1])


def build(case: Case, device: str = "cpu") -> Epoch:
    """Return an epoch of the PyTorch loop; on a GPU, `nn.RNN` and its siblings are cuDNN's."""
    network = Network(case.cell, case.units).to(device)
    return loop(case, network, network)


def build_compiled(case: Case) -> Epoch:
    """Return an epoch of the PyTorch loop with `torch.compile`."""
    network = Network(case.cell, case.units)
    return loop(case, network, torch.compile(network))


def loop(case: Case, network: nn.Module, forward: Callable[[Tensor], Tensor]) -> Epoch:
    """Return an epoch; `forward` is `network` or its compiled form."""
    device = next(network.parameters()).device
    x, y = (torch.from_numpy(array).to(device) for array in samples(case))
    optimizer = torch.optim.Adam(network.parameters())
    criterion = nn.MSELoss()

    def epoch() -> None:
        total = 0.0
        for rows in torch.randperm(len(x), device=device).split(case.batch):
            optimizer.zero_grad()
            loss = criterion(forward(x[rows]), y[rows])
            loss.backward()
            optimizer.step()
            total += loss.item()

    return epoch
