"""PyTorch programs of the usual forms, and those whose rules are no rules here."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from harness import recorder
from harness.identify.__main__ import main
from tests.identify.hand_written import altered

rng = np.random.default_rng(0)
X = rng.normal(size=(22, 5, 2))
SUMS = X[:, :, :1].cumsum(1)  # (N, T, 1)
Groups = Callable[[nn.Module], Any]


class Network(nn.Module):
    def __init__(self, layers: int = 1, every_step: bool = False, bias: bool = True) -> None:
        super().__init__()
        self.rnn = nn.LSTM(2, 4, layers, batch_first=True, bias=bias)
        self.head = nn.Linear(4, 1)
        self.every_step = every_step

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        outputs = self.rnn(x)[0]
        return self.head(outputs if self.every_step else outputs[:, -1])


def record(
    folder: Path, model: Network, precision: str, groups: Groups = lambda m: m.parameters()
) -> None:
    """Train as PyTorch's tutorials do: a loader, a scheduler, clipping, AdamW."""
    torch.manual_seed(0)
    dtype = getattr(torch, precision)
    model = model.to(dtype)
    y = SUMS if model.every_step else SUMS[:, -1]
    samples = TensorDataset(torch.tensor(X, dtype=dtype), torch.tensor(y, dtype=dtype))
    loader = DataLoader(samples, batch_size=8, shuffle=True)
    optimizer, loss_fn = torch.optim.AdamW(groups(model), lr=0.02), nn.MSELoss()
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2, gamma=0.5)
    with recorder.torch(folder, model, optimizer, loss_fn):
        for _ in range(6):
            for x_batch, y_batch in loader:
                optimizer.zero_grad()
                loss = loss_fn(model(x_batch), y_batch)
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
            scheduler.step()


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize(("layers", "every_step"), [(2, False), (1, True)])
def test_a_program_of_the_usual_form(
    layers: int,
    every_step: bool,
    precision: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    torch.manual_seed(0)
    record(tmp_path / "recorded", Network(layers, every_step), precision)
    form = {"model__returns": "every_step"} if every_step else {}
    wrong = {"semantics__biases": "single", "semantics__weight_decay": "coupled"}
    altered(tmp_path / "recorded", tmp_path / "altered", **form, **wrong)
    assert main([str(tmp_path / "recorded"), "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "trains by adam as semantics=torch with weight_decay=decoupled, clipping at 1" in said
    assert main([str(tmp_path / "altered"), "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "trains by adam as semantics=torch with biases=single.\n" in said


def test_one_frozen_bias_of_two_is_a_single_bias(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    model: Any = Network()
    nn.init.zeros_(model.rnn.bias_hh_l0).requires_grad = False
    record(tmp_path / "recorded", model, "float64")
    assert main([str(tmp_path / "recorded"), "--out", str(tmp_path / "out")]) == 0
    assert "adam as semantics=matched with clip_eps=1e-06, clipping at 1" in capsys.readouterr().out


def without_bias() -> Network:
    return Network(bias=False)


def frozen() -> Network:
    model: Any = Network()
    model.rnn.weight_hh_l0.requires_grad = False
    return model


def decays(model: nn.Module) -> list[dict[str, Any]]:
    weights = [p for p in model.parameters() if p.dim() > 1]
    biases = [p for p in model.parameters() if p.dim() == 1]
    return [{"params": weights}, {"params": biases, "weight_decay": 0.0}]


def head_alone(model: Any) -> Any:
    return model.head.parameters()


def faster_head(model: Any) -> Any:
    return [{"params": model.rnn.parameters()}, {"params": model.head.parameters(), "lr": 0.1}]


@pytest.mark.parametrize(
    ("make", "groups", "said"),
    [
        (without_bias, nn.Module.parameters, "has no biases in rnn.0.bias"),
        (frozen, nn.Module.parameters, "trains without rnn.weight_hh_l0 (frozen)"),
        (Network, head_alone, "trains without rnn.bias_ih_l0, rnn.weight_hh_l0"),
        (Network, decays, "has groups of parameters with weight_decay=0.01, 0.0"),
        (Network, faster_head, "groups of parameters have learning rates of their own"),
    ],
)
def test_what_no_rule_has_is_refused_by_name(
    make: Callable[[], Network],
    groups: Groups,
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    record(tmp_path / "recorded", make(), "float32", groups)
    assert main([str(tmp_path / "recorded"), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert said in error
    assert "which no rule here has" in error
