"""The real program in surroundings that others have chosen: names, locales, limits, variables."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.config.compose import compose
from harness.config.serialise import nested_params
from harness.core.errors import ConfigError
from harness.sweeps.expected_jobs import expected_jobs
from harness.sweeps.jobs import Job
from harness.sweeps.units import groups
from harness.tracking.journal import last
from tests.support import ROOT, program
from tests.support.program import uses_mlflow
from tests.sweeps.test_units import SWEEP

pytestmark = uses_mlflow
PLAIN = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}  # a locale of ASCII alone
NOTEBOOK = {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}  # as Jupyter sets it
SMALL = ["task.samples=40", "trainer.epochs=2", "model.units=4"]


def harness(
    folder: Path,
    *words: str,
    variables: dict[str, str],
    limit: str = "true",
    out: int = subprocess.PIPE,
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["sh", "-c", f'{limit}; exec "$@"', "sh", sys.executable, "-m", "harness", *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | variables,
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=subprocess.PIPE,
    )


def test_a_run_is_whole_in_an_unusual_folder_a_plain_locale_and_a_notebook(tmp_path: Path) -> None:
    """Tracked, and with a reader that has gone: both kinds of quotes would break a statement of
    MLflow's, ü the locale, and Matplotlib could not be imported."""
    folder = tmp_path / "ü'b\"c :d"
    folder.mkdir()
    reading, writing = os.pipe()
    os.close(reading)
    done = harness(folder, *SMALL, variables=PLAIN | NOTEBOOK, out=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")
    directory = program.directory(folder)
    assert (last(directory, "end") or {})["status"] == "FINISHED"
    [tracked] = program.tracked(folder)
    assert tracked.info.status == "FINISHED"
    assert tracked.data.tags["run_directory"] == f"runs/{directory.name}"
    assert "plots/loss.png" in program.artifacts(folder, tracked.info.run_id)


@pytest.mark.parametrize("name", [b"a%b", b"a#b", b"a?b", b"a\xfcb"])
def test_a_folder_that_mlflow_cannot_use_is_refused_before_training(
    name: bytes, tmp_path: Path
) -> None:
    done = harness(tmp_path, f"results='{os.fsdecode(name)}'", *SMALL, variables={})
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1
    assert b"tracking=journal" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_of_many_jobs_needs_few_files(tmp_path: Path) -> None:
    words = ["-m", "seed=range(72)", "task.samples=20", "trainer.epochs=1", "tracking=journal"]
    done = harness(tmp_path, *words, variables={}, limit="ulimit -n 64")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(b"FINISHED") == 72


def test_a_group_has_so_many_jobs_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.sweeps.units.MAX_GROUP", 3)
    jobs = []
    for number in range(8):
        units = 5 if number == 4 else 4
        config = compose([f"seed={number}", f"model.units={units}", "task.samples=20"])
        directory, settings = tmp_path / str(number), nested_params(config)
        jobs.append(Job(number=number, overrides=[], directory=directory, settings=settings))
    found = [[job.number for job in group.jobs] for group in groups(expected_jobs(jobs, SWEEP))]
    assert found == [[0, 1, 2], [3, 5, 6], [4], [7]]


@pytest.mark.parametrize("asked", ["cuda", "nonsense", "cuda,cpu", " gpu , cpu"])
def test_platforms_that_jax_cannot_use_are_refused(
    asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.system.jax_platforms.gpu_present", lambda: False)
    monkeypatch.setenv("JAX_PLATFORMS", asked)
    with pytest.raises(ConfigError, match=f"^JAX_PLATFORMS={asked}: "):
        compose(["backend=jax"])
    compose(["backend=numpy"])


@pytest.mark.parametrize("asked", ["", "cpu", "cuda,cpu"])
def test_platforms_that_jax_can_use_are_left_alone(
    asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.system.jax_platforms.gpu_present", lambda: True)
    monkeypatch.setenv("JAX_PLATFORMS", asked)
    compose(["backend=jax"])
