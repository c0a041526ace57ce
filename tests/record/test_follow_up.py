"""What follows a recording: every backend repeats the training, or a line says why not."""

from pathlib import Path

import pytest

from tests.record.own_means import PROGRAMS, run
from tests.support import program
from tests.support.program import uses_mlflow

pytestmark = [pytest.mark.slow, *uses_mlflow]

BACKENDS = ["numpy", "torch", "keras", "jax"]
BIDIRECTIONAL = """
import torch

torch.manual_seed(0)
x, y = torch.randn(8, 5, 1), torch.randn(8, 6)
rnn = torch.nn.GRU(1, 3, batch_first=True, bidirectional=True)
optimizer = torch.optim.SGD(rnn.parameters(), lr=0.1)
for _ in range(3):
    optimizer.zero_grad()
    torch.nn.functional.mse_loss(rnn(x)[0][:, -1], y).backward()
    optimizer.step()
"""


def test_a_script_becomes_a_run_in_every_backend(tmp_path: Path) -> None:
    folder = program.with_database(tmp_path)
    loop = str(PROGRAMS / "torch_loop.py")
    done = run(folder, "-m", "harness.record", loop, "--epochs", "2", "--out", "own.npz")
    assert done.code == 0, done.err
    assert "trains by adam as semantics=torch, clipping at 0.5." in done.out
    rows = [line.split() for line in done.out.splitlines() if line.split()[0:1] != []]
    verdicts = {row[0]: row[-1] for row in rows if row[0] in BACKENDS and row[1] == "8"}
    assert verdicts == dict.fromkeys(BACKENDS, "inside")
    assert [run.info.status for run in program.tracked(folder)] == ["FINISHED"] * 4
    again = program.run(
        folder, "--config-dir", "identified", "experiment=torch_loop", "backend=numpy"
    )
    assert again.code == 0, again.err


def test_a_network_that_no_backend_has_is_recorded_and_named(tmp_path: Path) -> None:
    (tmp_path / "both_ways.py").write_text(BIDIRECTIONAL)
    done = run(tmp_path, "-m", "harness.record", "both_ways.py")
    assert done.code == 1
    last = done.err.splitlines()[-1]
    assert last.startswith("recorded/both_ways is recorded, and not repeated: ")
    assert "direction" in last
    assert (tmp_path / "recorded/both_ways/recording.json").exists()
    assert not (tmp_path / "identified").exists()
