"""`harness adopt`: a file of another program becomes a run, and only if its outputs agree."""

import json
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness.adopt import __main__ as adopt
from harness.export import __main__ as export
from harness.notebook import Run, find_runs
from harness.parity import __main__ as parity
from harness.readers.tensor_files import from_torch
from harness.tracking.journal import last
from tests.support import program
from tests.support.program import uses_mlflow

pytestmark = uses_mlflow
STATED = ["--returns", "last", "--outputs", "values"]


class Net(torch.nn.Module):
    """A network as its user has it."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = torch.nn.LSTM(3, 5, 2, batch_first=True)
        self.fc = torch.nn.Linear(5, 2)

    def forward(self, x: Any) -> Any:
        return self.fc(self.encoder(x)[0][:, -1])


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Net:
    """A network whose weights are in `net.pt`, in the current directory."""
    torch.manual_seed(0)
    network = Net().double()
    monkeypatch.chdir(program.with_database(tmp_path))
    torch.save(network.state_dict(), "net.pt")
    return network


def adopted(*words: str) -> Run:
    assert adopt.main(["net.pt", *STATED, *words]) == 0
    return find_runs()[-1]


def outputs(network: Net, x: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return network(torch.as_tensor(x)).numpy()


def with_data(network: Net) -> str:
    """A file of data whose targets the network misses by 2."""
    x = np.random.default_rng(1).normal(size=(10, 4, 3))
    np.savez("mine.npz", x=x, y=outputs(network, x) + 2.0)
    return "mine.npz"


def test_a_run_has_the_network_its_file_and_the_proof(net: Net, capsys: Any) -> None:
    run = adopted()
    x = np.random.default_rng(1).normal(size=(4, 9, 3))
    np.testing.assert_allclose(run.predict(x), outputs(net, x), rtol=0, atol=1e-12)
    assert run.settings["precision"] == "float64"
    assert run.values["test/loss"] < 1e-25
    start = last(run.directory, "start")
    assert start is not None
    tags = start["tags"]
    assert tags["adopted_from"] == str(Path("net.pt").resolve())
    assert tags["adopted_sha256"] == sha256(Path("net.pt").read_bytes()).hexdigest()
    assert float(tags["adopted_difference"]) < 1e-12
    assert json.loads((run.directory / "adopted/file.json").read_text())["notes"] == []
    out = capsys.readouterr().out
    assert "2 LSTM layers of 5 units" in out
    assert "give --data FILE.npz" in out
    mlflow = program.mlflow(Path())
    [tracked] = mlflow.search_runs(["1"])
    names = [file.path for file in mlflow.list_artifacts(tracked.info.run_id, "adopted")]
    assert names == ["adopted/file.json", "adopted/weights.safetensors"]


def test_it_is_trained_on_exported_and_repeated(net: Net, tmp_path: Path, capsys: Any) -> None:
    run = adopted("--data", with_data(net), "tracking=journal")
    words = [f"resume={run.directory}", "trainer.epochs=2", "tracking=journal"]
    for backend in ("numpy", "torch"):
        done = program.run(tmp_path, *words, f"backend={backend}")
        assert done.code == 0, done.err
    one, other = (found.curves["train/loss"] for found in find_runs()[-2:])
    np.testing.assert_allclose(one, other, rtol=1e-9)
    assert export.main([str(run.directory), "--to", "numpy", "--out", "exported"]) == 0
    assert f"resume={run.directory} trainer.epochs=10" in capsys.readouterr().out
    start = last(run.directory, "start")
    assert start is not None
    command = start["tags"]["command"].split("harness ")[1].split()
    assert program.run(tmp_path, *command).code == 0
    x = np.ones((2, 3, 3))
    np.testing.assert_array_equal(find_runs()[-1].predict(x), run.predict(x))


def test_it_needs_neither_its_file_nor_its_folder(net: Net, tmp_path: Path, capsys: Any) -> None:
    x = np.ones((2, 3, 3))
    expected = outputs(net, x)
    name = adopted().name
    for folder in Path("results/runs").iterdir():
        shutil.rmtree(folder)
    Path("net.pt").unlink()
    done = program.run(tmp_path, f"resume={name}", "trainer.epochs=1", "optimizer.lr=1e-9")
    assert done.code == 0, done.err
    np.testing.assert_allclose(find_runs()[-1].predict(x), expected, rtol=0, atol=1e-7)
    assert parity.main([name, "trainer.epochs=1", "backends=numpy,torch", "tracking=journal"]) == 0
    assert "numpy, torch agree at every stage" in capsys.readouterr().out


def test_data_of_ones_own(net: Net) -> None:
    run = adopted("--data", with_data(net), "tracking=journal", "task.test_fraction=0.8")
    assert run.values["test/loss"] == pytest.approx(4.0, rel=1e-9)


@pytest.mark.usefixtures("net")
def test_what_was_read_otherwise_is_not_adopted(
    capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(from_torch.GATE_ORDER, "lstm", [1, 0, 2, 3])
    assert adopt.main(["net.pt", *STATED]) == 1
    assert "Not adopted: its framework's outputs differ by" in capsys.readouterr().err
    assert not Path("results/runs").exists()


@pytest.mark.usefixtures("net")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["net.pt", "--outputs", "values"], "--returns: say last or every_step: "),
        (["none.pt"], "none.pt: there is no such file; name a trained network"),
        (["."], ".: is a folder; name a trained network"),
        (["net.pt", *STATED, "model.units=3"], "model.units=3: the file decides this"),
        (["net.pt", *STATED, "seed=3"], "seed=3: the file decides this"),
        (["net.pt", *STATED, "backend=tensor"], "backend=tensor"),
        (["net.pt", *STATED, "--data", "none.npz"], "none.npz: cannot be read"),
        (["net.pt", *STATED, "--data", "wrong.npz"], "rnn.0.kernel is (1, 3, 20)"),
        (["net.pt", "--only", "decoder"], "--only decoder"),
        (["net.pt", "--prefix", "decoder"], "--only decoder"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(
    capsys: Any, words: list[str], message: str
) -> None:
    np.savez("wrong.npz", x=np.ones((9, 4, 7)), y=np.ones((9, 2)))
    assert adopt.main(words) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert not Path("results/runs").exists()
