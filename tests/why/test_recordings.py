"""`harness why RECORDING_A RECORDING_B` on real programs, neither of which uses the harness."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from harness import recorder
from harness.core.arrays import Array
from harness.identify.__main__ import main as identify
from harness.why.__main__ import main

PROGRAM = Path(__file__).parent / "programs/keras_fit.py"
rng = np.random.default_rng(0)
X = rng.normal(size=(22, 5, 2))
Y = X[:, :, 0].sum(1, keepdims=True)
Clip = Callable[[Any], Any]


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(2, 4, batch_first=True)
        self.head = nn.Linear(4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.rnn(x)[0][:, -1])


def sgd(parameters: Any, decay: float = 0.01) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, 0.1, momentum=0.9, weight_decay=decay)


def together(parameters: Any) -> None:
    nn.utils.clip_grad_norm_(parameters, 0.5)


def each(parameters: Any) -> None:
    for parameter in parameters:
        nn.utils.clip_grad_norm_([parameter], 0.5)


def network(seed: int = 0) -> Network:
    torch.manual_seed(seed)
    return Network().double()


def record(
    folder: Path,
    model: Network,
    optimizer: Callable[[Any], torch.optim.Optimizer] = sgd,
    clip: Clip = together,
    x: Array = X,
    y: Array = Y,
) -> None:
    step, loss_fn = optimizer(model.parameters()), nn.MSELoss()
    with recorder.torch(folder, model, step, loss_fn):
        for _ in range(6):
            for n in range(0, len(x), 8):
                inputs, targets = torch.tensor(x[n : n + 8]), torch.tensor(y[n : n + 8])
                step.zero_grad()
                loss_fn(model(inputs), targets).backward()
                clip(model.parameters())
                step.step()


def answer(folder: Path) -> dict[str, Any]:
    """Return what the only report says, by setting, and its inputs."""
    [report] = (folder / "results/why").iterdir()
    assert (report / "why.png").read_bytes()[:4] == b"\x89PNG"
    facts = json.loads((report / "why.json").read_text())
    return {"inputs": facts["inputs"]} | {row["setting"]: row for row in facts["parts"]}


def explain(folder: Path, *words: str) -> int:
    return main(
        [str(folder / "a"), str(folder / "b"), "--results", str(folder / "results"), *words]
    )


def test_two_loops_that_differ_in_clipping_and_decay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record(tmp_path / "a", network())
    record(tmp_path / "b", network(), lambda p: sgd(p, 0.05), each)
    assert explain(tmp_path) == 0
    assert "Both have the same initial weights, samples and order." in capsys.readouterr().out
    said = answer(tmp_path)
    assert said["clip_scope"]["B"] == "variable"
    assert said["optimizer.weight_decay"]["B"] == "0.05"
    assert len(said) == 1 + 2 + 3  # the inputs, both settings, and three sums: no other setting
    for name in ("mean loss", "loss of the last 3 steps"):
        parts = said["clip_scope"][name] + said["optimizer.weight_decay"][name]
        assert parts == pytest.approx(said["gap by rules"][name])
        assert abs(said["left"][name]) < 1e-9 * abs(said["recorded gap"][name])


def test_the_same_program_twice_is_no_difference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record(tmp_path / "a", network())
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert explain(tmp_path) == 0
    assert "No rule differs: no difference" in capsys.readouterr().out
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("seed", "x", "y", "said"),
    [
        (1, X, Y, "They differ in the initial weights (head.kernel"),
        (0, X + 1, Y, "They differ in the samples (22, 22; 0 in both)"),
        (0, X[::-1].copy(), Y[::-1].copy(), "in the order of the samples (from step 1 on)"),
    ],
)
def test_other_inputs_are_said_first(
    seed: int, x: Array, y: Array, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record(tmp_path / "a", network())
    record(tmp_path / "b", network(seed), x=x, y=y)
    assert explain(tmp_path) == 0
    out = capsys.readouterr().out
    assert said in out
    assert "No rule differs: the inputs above are all that differs" in out


def test_the_steps_that_both_have_are_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record(tmp_path / "a", network())
    record(tmp_path / "b", network(), clip=each)
    batches = np.load(tmp_path / "b/batches.npy")
    for name in ("batches", "losses", "learning_rates", "gradient_norms"):
        values = np.load(tmp_path / f"a/{name}.npy")
        np.save(tmp_path / f"a/{name}.npy", values[:12])
    facts = json.loads((tmp_path / "a/recording.json").read_text())
    facts["steps"] = 12
    for shape in facts["arrays"].values():
        shape[0] = 12 if shape[0] == len(batches) else shape[0]
    (tmp_path / "a/recording.json").write_text(json.dumps(facts))
    assert explain(tmp_path) == 0
    assert "They differ in the number of steps (12, 18)" in capsys.readouterr().out
    assert "clip_scope" in answer(tmp_path)


@pytest.mark.slow
def test_a_loop_of_pytorch_and_a_fit_of_keras(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The files that identify wrote are where the search begins."""
    model: Any = network()
    nn.init.zeros_(model.rnn.bias_hh_l0)
    weights = {name: values.detach().numpy() for name, values in model.named_parameters()}
    np.savez(
        tmp_path / "given.npz",
        kernel=weights["rnn.weight_ih_l0"].T,
        recurrent=weights["rnn.weight_hh_l0"].T,
        bias=weights["rnn.bias_ih_l0"],
        head=weights["head.weight"].T,
        head_bias=weights["head.bias"],
        x=X,
        y=Y,
    )
    words = [sys.executable, str(PROGRAM), str(tmp_path / "given.npz"), str(tmp_path / "b")]
    subprocess.run(words, env=os.environ | {"KERAS_BACKEND": "tensorflow"}, check=True)
    record(tmp_path / "a", model, lambda p: torch.optim.Adam(p, 0.02), lambda _: None)
    for name in "ab":
        assert identify([str(tmp_path / name), "--out", str(tmp_path / "identified")]) == 0
    assert explain(tmp_path, "--config-dir", str(tmp_path / "identified")) == 0
    assert "Both have the same initial weights, samples and order." in capsys.readouterr().out
    said = answer(tmp_path)
    assert {"biases", "adam_eps", "adam_eps_place"} < set(said)
    assert said["adam_eps_place"]["B"] == "uncorrected"
    assert abs(said["left"]["mean loss"]) < 1e-6 * abs(said["recorded gap"]["mean loss"])


def test_mistakes_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(tmp_path / "a", network())
    record(tmp_path / "nadam", network(), lambda p: torch.optim.NAdam(p, 0.01))
    capsys.readouterr()
    assert main([str(tmp_path / "a"), "optimizer.lr=1"]) == 2
    assert "name two recordings, and no settings" in capsys.readouterr().err
    assert main([str(tmp_path / "a"), str(tmp_path / "nadam")]) == 1
    assert "None of the rules known here" in capsys.readouterr().out
    facts = json.loads((tmp_path / "a/recording.json").read_text())
    (tmp_path / "a/recording.json").write_text(json.dumps(facts | {"format": 9}))
    assert main([str(tmp_path / "a"), str(tmp_path / "nadam")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
