"""`python -m harness.parity` as a user types it: table, certificate, exit code, fuzz, mistakes."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from harness.parity.__main__ import main
from harness.parity.arguments import fuzz_command
from harness.parity.problem import configs, problem_of
from harness.tracking.mlflow_store import client
from tests.support import ROOT
from tests.support.program import PATIENCE

pytestmark = pytest.mark.slow

BROKEN = """
from backends.numpy_backend import NumpyBackend
from backends.numpy_backend.network import Network

class BrokenNetwork(Network):
    '''The output gate's recurrent kernel is negated.'''

    def weights(self, layer):
        kernel, recurrent, bias = super().weights(layer)
        if self.model.cell == "lstm":
            recurrent = recurrent.copy()
            recurrent[..., 3 * self.model.units :] *= -1
        return kernel, recurrent, bias

class Broken(NumpyBackend):
    _network = BrokenNetwork
"""
CONFIG = """
name: broken
packages: {}
devices: [cpu]
factory:
  _target_: mine.Broken
  _partial_: true
"""


def parity(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{folder}"}
    return subprocess.run(
        [sys.executable, "-m", "harness.parity", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder with a backend that is wrong in the LSTM only."""
    (tmp_path / "mine.py").write_text(BROKEN)
    (tmp_path / "my_conf/backend").mkdir(parents=True)
    (tmp_path / "my_conf/backend/broken.yaml").write_text(CONFIG)
    return tmp_path


def test_agreement_is_certified(tmp_path: Path) -> None:
    run = parity(tmp_path, "task=sum", "model=lstm", "backends=[numpy,torch]", "--steps", "20")
    assert run.returncode == 0, run.stderr
    assert "numpy, torch agree at every stage: losses of steps 1 to 20, resumed at step 21, " in (
        run.stdout
    )
    (path,) = tmp_path.glob("results/parity/*/certificate.json")
    found = json.loads(path.read_text())
    assert found["format"] == 1
    assert found["agrees"]
    assert found["steps"] == 20
    assert found["seeds"] == [0]
    assert found["settings"]["model.cell"] == "lstm"
    assert {row["stage"] for row in found["stages"]} >= {"names", "gradients", "losses"}
    assert all(row["relative_error"] <= row["limit"] for row in found["stages"])
    assert "| gradients | numpy · torch |" in path.with_suffix(".md").read_text()
    mlflow = client(f"sqlite:///{tmp_path}/results/mlflow.db")
    (tracked,) = mlflow.search_runs(
        [e.experiment_id for e in mlflow.search_experiments()], "tags.kind = 'parity'"
    )
    assert tracked.info.status == "FINISHED"
    assert tracked.data.tags["verdict"] == "agrees"
    assert "--fuzz 50 'backends=[numpy,torch]'" in run.stdout
    assert "certificate.md" in {file.path for file in mlflow.list_artifacts(tracked.info.run_id)}


def test_more_steps_than_the_run_has_are_said_so(tmp_path: Path) -> None:
    small = ("task.samples=8", "trainer.epochs=3", "trainer.batch_size=4", "tracking=journal")
    run = parity(tmp_path, *small, "backends=[numpy,torch]", "--steps", "100")
    assert run.returncode == 0, run.stderr
    first, *rest = run.stdout.splitlines()
    (path,) = tmp_path.glob("results/parity/*/certificate.json")
    steps = json.loads(path.read_text())["steps"]
    assert first.startswith(f"--steps 100: the run has {steps} steps and no more; with ")
    more = next(word for word in first.split() if word.startswith("trainer.epochs="))
    assert problem_of(configs(["numpy"], [*small, more])[0], 100).lr.shape == (100, 1)
    assert not any("--steps" in line for line in rest)


def test_next_command_keeps_the_backends_and_their_folder() -> None:
    assert fuzz_command(["numpy", "mine"], Path("my conf")) == (
        "python -m harness.parity --fuzz 50 'backends=[numpy,mine]' --config-dir 'my conf'"
    )
    assert fuzz_command(["numpy", "torch", "keras", "jax"], None) == (
        "python -m harness.parity --fuzz 50"
    )


def test_disagreement_is_named_and_fails(own: Path) -> None:
    words = ["task=sum", "model=lstm", "backends=[numpy,broken]", "--config-dir", "my_conf"]
    run = parity(own, *words)
    assert run.returncode == 1
    expected = "step 1, hidden states: rnn.0.recurrent_kernel, layer 0, gate o, time step 1"
    assert expected in run.stdout
    (path,) = own.glob("results/parity/*/certificate.json")
    found = json.loads(path.read_text())
    assert not found["agrees"]
    assert expected in found["first"]


def test_same_bug_is_no_bug_where_it_plays_no_part(own: Path) -> None:
    words = ["task=sum", "model=gru", "backends=[numpy,broken]", "--config-dir", "my_conf"]
    assert parity(own, *words).returncode == 0


def test_backend_that_breaks_is_one_line_and_keeps_its_traceback(own: Path) -> None:
    breaks = BROKEN.replace("return kernel, recurrent, bias", "raise RuntimeError('no weights')")
    (own / "mine.py").write_text(breaks)
    words = ["task=sum", "model=gru", "backends=[numpy,broken]", "--config-dir", "my_conf"]
    run = parity(own, *words, "tracking=journal")
    assert run.returncode == 1
    assert "Traceback" not in run.stderr
    (path,) = own.glob("results/parity/*/traceback.txt")
    where = path.parent.relative_to(own)
    last = run.stderr.strip().splitlines()[-1]
    assert last.startswith("broken broke: RuntimeError: no weights (mine.py, line ")
    assert last.endswith(f"; recorded in {where}")
    assert "RuntimeError: no weights" in path.read_text()
    end = json.loads((path.parent / "journal.jsonl").read_text().splitlines()[-1])
    assert end["status"] == "FAILED"


@pytest.mark.parametrize("sign", ["", "++"])
def test_precision_may_be_typed_in_either_way_of_hydra(sign: str) -> None:
    (config,) = configs(["numpy"], ["task=sum", f"{sign}precision=float32"])
    assert config.precision == "float32"
    (config,) = configs(["numpy"], ["task=sum", "++semantics.tf32=on"])
    assert config.semantics.tf32 == "on"


def test_fuzz_shrinks_a_failure_to_a_command_that_repeats_it(own: Path) -> None:
    words = ["backends=[numpy,broken]", "--config-dir", "my_conf"]
    run = parity(own, "--fuzz", "60", *words)
    assert run.returncode == 1
    assert "gate o" in run.stdout
    (line,) = [t.strip() for t in run.stdout.splitlines() if t.strip().startswith("python -m")]
    again = shlex.split(line)[3:]
    small = dict(word.split("=", 1) for word in again if "=" in word and "[" not in word)
    assert small["model"] == "lstm"
    assert small["model.layers"] == "1"
    assert small["model.units"] == "1"
    assert small["task.length"] == "2"  # with one step the recurrent kernel plays no part
    assert small["semantics"] == "matched"
    assert parity(own, *again).returncode == 1


def test_fuzz_without_a_failure_reports_the_worst_of_each_stage(tmp_path: Path) -> None:
    run = parity(tmp_path, "--fuzz", "8", "backends=[numpy,torch]", "model=gru")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "agree in 8 configurations" in run.stdout
    assert "optimiser slots" in run.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["backends=[numpy]"], "backends=[numpy]: must name two or more different backends"),
        (["backends=[numpy,numpy]"], "must name two or more"),
        (["backends=[numpy,mxnet]"], "backends=[numpy,mxnet]: mxnet: must be one of"),
        (["backend=torch"], "backend=torch: parity compares several; use backends=[numpy,torch]"),
        (["--steps", "0"], "--steps 0: must be at least 1"),
        (["--steps", "9", "--fuzz", "2"], "--steps: random configurations have their own"),
        (["trainer.epochs=0", "backends=[numpy,torch]"], "trainer.epochs=0: parity compares"),
        (["resume=x", "backends=[numpy,torch]"], "resume=x: parity trains several"),
        (["--fuzz", "2", "task.lengths=9:9", "backends=[numpy,torch]"], "none of the config"),
        (["--step", "x"], "--steps x: must be a whole number"),
        (["--fuzz"], "--fuzz: needs a value"),
        (["task=sum", ""], "'': must have the form KEY=VALUE."),
        (["task=sum,binary"], "task=sum,binary: must be one value such as task=sum"),
        (["--nonsense"], "--nonsense: no such option"),
        (["task=summ", "backends=[numpy,torch]"], "Did you mean 'sum'?"),
        (["backends=[numpy,torch"], "must have the form backends=[numpy,torch]"),
        (["++backends=[numpy]"], "must name two or more"),
        (["+backend=torch"], "use backends=[numpy,torch]"),
        (["++resume=x", "backends=[numpy,torch]"], "++resume=x: parity trains several"),
        (["--fuzz-seed", "3"], "--fuzz-seed 3: needs --fuzz N"),
        (["--fuzz", "2", "--fuzz-seed", "-1"], "--fuzz-seed -1: must be at least 0"),
        (["--fuzz", "2", "task=sum"], "task=sum: random configurations have a task of their own"),
        (["--fuzz", "2", "experiment=notebook_sum"], "experiment=notebook_sum: random config"),
        (["results=/dev/null", "backends=[numpy,torch]"], "results: cannot write there"),
        (["--fuzz", "2", "--scatter-padding"], "random configurations have their own"),
        (["--scatter-padding", "backends=[numpy,torch]"], "there is no padding here"),
        (["--config-dir", "nowhere"], "nowhere: there is no such folder"),
        (["--fuzz", "2", "--config-dir", "nowhere"], "nowhere: there is no such folder"),
    ],
)
def test_mistake_is_one_line(
    words: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    out, err = capfd.readouterr()
    assert message in err
    assert (out, err.count("\n")) == ("", 1), err
    assert not (tmp_path / "results").exists()
