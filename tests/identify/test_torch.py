"""The rules of plain PyTorch programs are found, and those of altered recordings are others."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from harness import recorder
from harness.identify.__main__ import main
from tests.identify.hand_written import altered

rng = np.random.default_rng(0)
X = rng.normal(size=(20, 5, 2))
Y = X[:, :, 0].sum(1, keepdims=True)


class Network(nn.Module):
    def __init__(self, cell: str) -> None:
        super().__init__()
        relu = {"nonlinearity": "relu"} if cell == "RNN" else {}
        self.rnn = getattr(nn, cell)(2, 4, batch_first=True, **relu)
        self.head = nn.Linear(4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.rnn(x)[0][:, -1])


@dataclass(frozen=True)
class Program:
    cell: str
    optimizer: Callable[[Any], torch.optim.Optimizer]
    said: str  # how the answer goes on after "Your program trains by"
    wrong: dict[str, Any]  # a rule with which the recording is altered
    said_of_wrong: str
    clip: Callable[[Any], Any] = lambda _: None
    decay: float = 1.0  # of the learning rate, after each epoch


def adam(parameters: Any, **settings: Any) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, 0.01, **settings)


PROGRAMS = {
    "adam": Program(
        "LSTM",
        adam,
        "adam as semantics=torch.",
        {"semantics__biases": "single"},
        "adam as semantics=matched.",
    ),
    "momentum and a schedule": Program(
        "GRU",
        lambda parameters: torch.optim.SGD(parameters, 0.05, momentum=0.9),
        "sgd as semantics=torch.",
        {"semantics__momentum_lr": "inside"},
        "sgd as semantics=keras.",
        decay=0.7,
    ),
    "rmsprop": Program(
        "RNN",
        lambda parameters: torch.optim.RMSprop(parameters, 0.01),
        "rmsprop as semantics=torch.",
        {"semantics__rmsprop_eps_place": "inside"},
        "rmsprop as semantics=torch with rmsprop_eps_place=inside.",
    ),
    "coupled decay": Program(
        "RNN",
        lambda parameters: adam(parameters, weight_decay=0.02),
        "adam as semantics=torch.",
        {"semantics__weight_decay": "decoupled"},
        "adam as semantics=torch with weight_decay=decoupled.",
    ),
    "norms clipped": Program(
        "LSTM",
        lambda parameters: torch.optim.SGD(parameters, 0.1),
        "sgd as semantics=torch, clipping at 0.3.",
        {"trainer__clip": 0.3, "semantics__clip_scope": "variable"},
        "sgd as semantics=torch with clip_scope=variable, clipping at 0.3.",
        clip=lambda parameters: nn.utils.clip_grad_norm_(parameters, 0.3),
    ),
    "values clipped": Program(
        "LSTM",
        lambda parameters: torch.optim.SGD(parameters, 0.1),
        "sgd as semantics=torch with clip_scope=value, clipping at 0.05.",
        {"trainer__clip": 0.05},
        "sgd as semantics=torch, clipping at 0.05.",
        clip=lambda parameters: nn.utils.clip_grad_value_(parameters, 0.05),
    ),
}


def record(folder: Path, program: Program, precision: str) -> None:
    """Train for six epochs of three batches, as a user would."""
    torch.manual_seed(0)
    dtype, order = getattr(torch, precision), np.random.default_rng(1)
    model, loss_fn = Network(program.cell).to(dtype), nn.MSELoss()
    optimizer = program.optimizer(model.parameters())
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, program.decay)
    with recorder.torch(folder, model, optimizer, loss_fn):
        for _ in range(6):
            for rows in np.array_split(order.permutation(20), 3):
                x, y = (torch.tensor(values[rows], dtype=dtype) for values in (X, Y))
                optimizer.zero_grad()
                loss_fn(model(x), y).backward()
                program.clip(model.parameters())
                optimizer.step()
            schedule.step()


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_plain_program_and_an_altered_recording_are_told_apart(
    name: str, precision: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = PROGRAMS[name]
    record(tmp_path / "recorded", program, precision)
    altered(tmp_path / "recorded", tmp_path / "altered", **program.wrong)
    for folder, said in (("recorded", program.said), ("altered", program.said_of_wrong)):
        out = tmp_path / f"{folder}_out"
        assert main([str(tmp_path / folder), "--out", str(out)]) == 0
        assert f"Your program trains by {said}\n" in capsys.readouterr().out
        assert (out / f"semantics/{folder}.yaml").is_file()


class SignDescent(torch.optim.Optimizer):
    """An optimiser of its own: each weight moves by the rate, against its gradient's sign."""

    def __init__(self, parameters: Any) -> None:
        super().__init__(parameters, {"lr": 0.01})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter -= group["lr"] * (parameter.grad.sign() + 0.1 * parameter.grad.tanh())


@pytest.mark.parametrize("optimizer", [lambda p: torch.optim.NAdam(p, 0.01), SignDescent])
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_a_training_by_no_known_rule_fits_none(
    optimizer: Any, precision: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record(tmp_path / "own", Program("RNN", optimizer, "", {}, ""), precision)
    assert main([str(tmp_path / "own"), "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().out
    assert "None of the rules known here gives the recorded losses." in said
    assert "The nearest parts at step 2" in said or "The nearest parts at step 3" in said
    assert not (tmp_path / "out").exists()


def test_another_network_parts_at_the_first_loss(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record(tmp_path / "recorded", PROGRAMS["adam"], "float64")
    losses = np.load(tmp_path / "recorded/losses.npy")
    np.save(tmp_path / "recorded/losses.npy", losses / 2)  # as ½ the squared error
    assert main([str(tmp_path / "recorded"), "--out", str(tmp_path / "out")]) == 1
    assert "Already the first loss differs" in capsys.readouterr().out
