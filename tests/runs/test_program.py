"""The real program, started as a user starts it and read back from where a user would look.

Decides that a run and a sweep end as they say they end (exit code, journal, MLflow), however they
end: finished, diverged, refused, interrupted, killed. And that what is kept of a run is right: its
files, its presets, its replicas, its units.
"""

import math
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf
from safetensors.numpy import load_file

from harness.core.file_names import JOURNAL
from harness.runs import run as run_module
from harness.runs.launched_jobs import note_job
from harness.runs.run import Identity, Result
from harness.sweeps.report import jobs
from harness.tracking.journal import last
from tests.support import ROOT, program
from tests.support.configs import config
from tests.support.program import Done, uses_mlflow

pytestmark = uses_mlflow

FRAMEWORKS = {"torch", "tensorflow", "keras", "jax"}
FILES = {
    "checkpoints/epoch-00003.safetensors",
    "config.yaml",
    "journal.jsonl",
    "network.json",
    "parameters.csv",
    "plots/loss.png",
    "plots/predictions.png",
    "predictions.csv",
    "weights/final.safetensors",
    "weights/initial.safetensors",
}


def files(directory: Path) -> set[str]:
    """What a run's directory holds, but for Hydra's own folder."""
    paths = {p.relative_to(directory).as_posix() for p in directory.rglob("*") if p.is_file()}
    return {path for path in paths if not path.startswith(".hydra/")}


def table(path: Path) -> Any:
    """A CSV file as a `DataFrame`, whose types are too clever for a type checker."""
    return pd.read_csv(path)


def predictions(directory: Path, split: str) -> Any:
    rows = table(directory / "predictions.csv")
    return rows[rows["split"] == split]


def mse(rows: Any) -> float:
    return float(((rows["true"] - rows["predicted"]) ** 2).mean())


def final(directory: Path, metric: str = "train/loss") -> float:
    return program.journalled(directory, metric)[-1][1][0]


# One run ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Single:
    """A run of the NumPy backend, what it said and what it imported."""

    folder: Path
    done: Done
    said: str
    imported: set[str]

    @property
    def directory(self) -> Path:
        return program.directory(self.folder)

    @property
    def tracked(self) -> Any:
        [run] = program.tracked(self.folder)
        return run


def single(folder: Path, *arguments: str) -> Single:
    done = program.run(folder, *arguments, flags=("-X", "importtime"))
    lines = done.err.splitlines()
    imports = [line for line in lines if line.startswith("import time:")]
    said = [line for line in lines if not line.startswith("import time:")]
    imported = {line.split("|")[-1].strip() for line in imports}
    return Single(folder, done, "\n".join(said), imported)


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Single:
    folder = program.with_database(tmp_path_factory.mktemp("tracked"))
    return single(folder, "trainer.epochs=3", "seed=5")


@pytest.fixture(scope="module")
def untracked(tmp_path_factory: pytest.TempPathFactory) -> Single:
    folder = tmp_path_factory.mktemp("untracked")
    return single(folder, "trainer.epochs=3", "seed=5", "tracking=journal")


def test_a_run_succeeds_and_says_where_everything_is(tracked: Single) -> None:
    assert (tracked.done.code, tracked.said) == (0, "")
    for expected in ("1,121 parameters", str(tracked.directory), tracked.tracked.info.run_id):
        assert expected in tracked.done.out


def test_a_run_leaves_exactly_the_files_that_are_promised(tracked: Single) -> None:
    assert files(tracked.directory) == FILES
    kept = program.artifacts(tracked.folder, tracked.tracked.info.run_id)
    assert kept == FILES | {"predictions.json"}, "and MLflow's table"


def test_the_configuration_is_kept_resolved(tracked: Single) -> None:
    kept = OmegaConf.load(tracked.directory / "config.yaml")
    assert (kept.seed, kept.trainer.epochs, kept.model.units) == (5, 3, 32)
    assert kept.semantics.adam_eps == 1e-8


def test_predictions_have_one_row_per_number(tracked: Single) -> None:
    rows = table(tracked.directory / "predictions.csv")
    columns = ["split", "replica", "sample", "time_step", "output", "true", "predicted"]
    assert list(rows.columns) == columns
    assert rows["split"].value_counts().to_dict() == {"train": 800, "val": 100, "test": 100}
    for split, part in rows.groupby("split"):
        assert part["sample"].tolist() == list(range(len(part))), split
    assert set(rows["replica"]) == set(rows["output"]) == {0}
    assert set(rows["time_step"]) == {9}, "the last of ten, where the network answers"


def test_parameters_add_up(tracked: Single) -> None:
    rows = table(tracked.directory / "parameters.csv")
    assert list(rows.columns) == ["name", "shape", "count", "formula"]
    assert rows.iloc[-1][["name", "count"]].tolist() == ["total", 1121]
    assert rows["count"][:-1].sum() == 1121
    weights = load_file(tracked.directory / "weights/final.safetensors")
    assert sorted(weights) == sorted(rows["name"][:-1])
    for row in rows[:-1].itertuples():
        assert "×".join(map(str, weights[row.name].shape[1:])) == row.shape


def test_weights_have_a_replica_axis_and_have_moved(tracked: Single) -> None:
    before, after = (
        load_file(tracked.directory / f"weights/{name}.safetensors")
        for name in ("initial", "final")
    )
    assert sorted(before) == sorted(after)
    for name, value in after.items():
        assert value.dtype == np.float32
        assert value.shape == before[name].shape
        assert value.shape[0] == 1
        assert (value != before[name]).any()


def test_mlflow_has_every_epoch_that_the_journal_has(tracked: Single) -> None:
    run = tracked.tracked
    for name in ("train/loss", "val/loss"):
        journalled = program.journalled(tracked.directory, name)
        assert [step for step, _ in journalled] == [1, 2, 3]
        logged = program.history(tracked.folder, run.info.run_id, name)
        assert logged == [(step, values[0]) for step, values in journalled]
    assert program.history(tracked.folder, run.info.run_id, "test/loss") == [
        (0, final(tracked.directory, "test/loss"))
    ]


def test_what_is_measured_once_is_in_mlflow(tracked: Single) -> None:
    metrics = tracked.tracked.data.metrics
    assert metrics["params/total"] == metrics["params/trainable"] == 1121
    for name in ("time/train_s", "time/compile_s", "time/per_step_us"):
        assert math.isfinite(metrics[name])
        assert metrics[name] >= 0


def test_losses_are_those_of_the_predictions(tracked: Single) -> None:
    for split in ("val", "test"):
        expected = mse(predictions(tracked.directory, split))
        assert final(tracked.directory, f"{split}/loss") == pytest.approx(expected, rel=1e-9)


def test_mlflow_says_where_a_run_came_from(tracked: Single) -> None:
    run, tags = tracked.tracked, tracked.tracked.data.tags
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "sum·numpy·rnn·s5·epochs=3"
    experiment = program.mlflow(tracked.folder).get_experiment(run.info.experiment_id)
    assert experiment.name == "sum"
    expected = {
        "task": "sum",
        "backend": "numpy",
        "cell": "rnn",
        "device": "cpu",
        "command": "python -m harness trainer.epochs=3 seed=5",
        "run_directory": str(tracked.directory),
        "version.numpy": np.__version__,
    }
    assert {key: tags.get(key) for key in expected} == expected
    assert {"host", "version.torch", "version.mlflow", "mlflow.user", "mlflow.runColor"} < set(tags)
    assert run.data.params["trainer.epochs"] == "3"
    assert run.data.params["task.length"] == "10"


def test_mlflow_knows_the_data_set(tracked: Single) -> None:
    [data] = tracked.tracked.inputs.dataset_inputs
    assert data.dataset.name == "sum"
    assert len(data.dataset.digest) == 32
    assert "(1, 800, 10, 1)" in data.dataset.profile


def test_a_numpy_run_imports_no_framework(tracked: Single, untracked: Single) -> None:
    assert "matplotlib" in tracked.imported, "or else an import could be missed"
    assert not FRAMEWORKS & tracked.imported
    assert not FRAMEWORKS & untracked.imported


def test_mlflow_is_imported_in_another_process(tracked: Single) -> None:
    assert tracked.tracked.info.status == "FINISHED"
    assert "mlflow" not in tracked.imported


def test_without_tracking_there_is_no_mlflow(untracked: Single) -> None:
    assert (untracked.done.code, untracked.said) == (0, "")
    assert "mlflow" not in untracked.imported
    assert [path.name for path in (untracked.folder / "results").iterdir()] == ["runs"]
    assert files(untracked.directory) == FILES


def test_tracking_changes_no_number(tracked: Single, untracked: Single) -> None:
    for name in ("train/loss", "val/loss", "test/loss"):
        one, other = (program.journalled(r.directory, name) for r in (tracked, untracked))
        assert one == other


USERS_TASK = '''
"""Say the first number again."""
from dataclasses import dataclass
from harness.tasks import Samples, Task

@dataclass(frozen=True)
class Echo(Task):
    length: int

    def draw(self, rng):
        x = rng.uniform(size=(self.samples, self.length))
        return Samples(x[:, :, None], x[:, :1])
'''
USERS_YAML = """
_target_: my_tasks.Echo
name: echo
samples: 40
length: 4
val_fraction: 0.25
test_fraction: 0.0
scale: none
seed: null
legacy_seed: null
"""


def test_a_task_of_the_users_own_needs_no_change_here(tmp_path: Path) -> None:
    (tmp_path / "my_conf/task").mkdir(parents=True)
    (tmp_path / "my_conf/task/echo.yaml").write_text(USERS_YAML)
    (tmp_path / "my_tasks.py").write_text(USERS_TASK)
    arguments = ("--config-dir", "my_conf", "task=echo", "trainer.epochs=2", "tracking=journal")
    done = program.run(tmp_path, *arguments)
    assert (done.code, done.err) == (0, "")
    directory = program.directory(tmp_path)
    assert [step for step, _ in program.journalled(directory, "val/loss")] == [1, 2]
    assert len(predictions(directory, "train")) == 30
    assert len(predictions(directory, "val")) == 10


# A run that fails -------------------------------------------------------------------------------

# With a learning rate of 0.01 such a decay turns every weight into −2 times itself, so that float32
# overflows after some epochs, but not in the first.
GROWING = ("optimizer=sgd", "optimizer.weight_decay=300", "trainer.epochs=50")


@pytest.fixture(scope="module")
def diverged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    folder = program.with_database(tmp_path_factory.mktemp("diverged"))
    return folder, program.run(folder, *GROWING)


def test_a_failed_run_says_so_in_one_line(diverged: tuple[Path, Done]) -> None:
    folder, done = diverged
    assert done.code == 1
    assert done.err.count("\n") == 1
    epochs = len(program.journalled(program.directory(folder), "train/loss"))
    assert f"loss not finite in epoch {epochs}" in done.err
    assert "optimizer.lr=0.01" in done.err


def test_a_failed_run_keeps_what_it_had_until_then(diverged: tuple[Path, Done]) -> None:
    folder, _ = diverged
    directory = program.directory(folder)
    journalled = program.journalled(directory, "train/loss")
    assert len(journalled) > 1
    whole = len(journalled) - 1  # epochs, the last of which can be gone on with
    assert files(directory) == {
        *("config.yaml", JOURNAL, "network.json", "traceback.txt", "weights/initial.safetensors"),
        f"checkpoints/epoch-{whole:05d}.safetensors",
    }
    [run] = program.tracked(folder)
    assert run.info.status == "FAILED"
    logged = program.history(folder, run.info.run_id, "train/loss")
    assert logged[:-1] == [(step, values[0]) for step, values in journalled[:-1]]
    assert logged[-1][0] == len(journalled)
    assert not math.isfinite(logged[-1][1])
    assert run.data.metrics["params/total"] == 1121
    assert {"traceback.txt", JOURNAL} <= program.artifacts(folder, run.info.run_id)
    assert "Diverged" in (directory / "traceback.txt").read_text()


# A sweep ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    folder = program.with_database(tmp_path_factory.mktemp("sweep"))
    return folder, program.run(folder, "-m", "backend=numpy,torch,keras", "trainer.epochs=3")


def test_a_sweep_succeeds_and_lists_its_jobs(sweep: tuple[Path, Done]) -> None:
    folder, done = sweep
    assert done.code == 0
    assert done.out.count("FINISHED") == 3
    assert len(program.directories(folder)) == 3
    for directory in program.directories(folder):
        assert files(directory) == FILES | {"run.log"}


def test_a_sweep_is_one_parent_with_a_child_per_job(sweep: tuple[Path, Done]) -> None:
    parent, *children = program.tracked(sweep[0])
    assert "mlflow.parentRunId" not in parent.data.tags
    assert "backend" in parent.info.run_name
    assert [child.info.run_name for child in children] == ["numpy", "torch", "keras"]
    assert {c.data.tags["mlflow.parentRunId"] for c in children} == {parent.info.run_id}
    assert {r.info.status for r in (parent, *children)} == {"FINISHED"}
    assert len({r.info.experiment_id for r in (parent, *children)}) == 1
    assert parent.data.metrics == {}


def test_the_jobs_of_a_sweep_are_complete(sweep: tuple[Path, Done]) -> None:
    folder, _ = sweep
    _, *children = program.tracked(folder)
    for child, directory in zip(children, program.directories(folder), strict=True):
        for name in ("train/loss", "val/loss"):
            logged = program.history(folder, child.info.run_id, name)
            journalled = program.journalled(directory, name)
            assert logged == [(step, values[0]) for step, values in journalled]
            assert [step for step, _ in logged] == [1, 2, 3]
        assert program.artifacts(folder, child.info.run_id) == FILES | {"predictions.json"}


def test_the_backends_of_a_sweep_learn_the_same(sweep: tuple[Path, Done]) -> None:
    """Loosely: `tests/backends/test_agreement.py` decides how well they agree."""
    curves = [program.journalled(d, "val/loss") for d in program.directories(sweep[0])]
    for curve in curves[1:]:
        for (_, reference), (_, values) in zip(curves[0], curve, strict=True):
            assert values == pytest.approx(reference, rel=1e-3)


# The second, third, fourth and sixth of these jobs cannot be done: of two samples none is left to
# validate with, which only shows once the data are made.
FAILING = (
    *("optimizer=sgd", "trainer.epochs=2"),
    *("optimizer.lr=0.01,1e30,0.001", "task.samples=1000,2"),
)


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    folder = program.with_database(tmp_path_factory.mktemp("failing"))
    return folder, program.run(folder, "-m", *FAILING)


def test_a_failing_job_stops_no_other(failing: tuple[Path, Done]) -> None:
    folder, done = failing
    assert done.code == 1
    statuses = [last(directory, "end") for directory in program.directories(folder)]
    assert [end and end["status"] for end in statuses] == [
        *("FINISHED", "FAILED", "FAILED", "FAILED", "FINISHED", "FAILED")
    ]


def test_failing_jobs_are_listed_with_the_command_that_repeats_each(
    failing: tuple[Path, Done], tmp_path: Path
) -> None:
    _, done = failing
    assert "4 of 6 jobs did not finish" in done.out
    listed = [line.strip() for line in done.out.splitlines() if "python -m harness opt" in line]
    overrides = [shlex.split(line)[3:] for line in listed]
    assert overrides == [
        ["optimizer=sgd", "trainer.epochs=2", f"optimizer.lr={lr}", f"task.samples={samples}"]
        for lr, samples in (("0.01", 2), ("1e+30", 1000), ("1e+30", 2), ("0.001", 2))
    ]
    assert "task.samples=2: " in done.out
    repeated = program.run(tmp_path, *overrides[1], "tracking=journal")
    assert repeated.code == 1
    assert "loss not finite in epoch 1" in repeated.err
    assert "loss not finite in epoch 1" in done.out


def test_a_sweep_with_failing_jobs_has_failed(failing: tuple[Path, Done]) -> None:
    folder, _ = failing
    parent, *children = program.tracked(folder)
    assert parent.info.status == "FAILED"
    assert parent.data.metrics == {}
    # Two keys vary, so both name a job. What was refused never was a run.
    names = [f"lr={lr}·samples=1000" for lr in ("0.01", "1e+30", "0.001")]
    assert [child.info.run_name for child in children] == names
    assert [child.info.status for child in children] == ["FINISHED", "FAILED", "FINISHED"]
    description = parent.data.tags["mlflow.note.content"]
    for name in (*names, *(f"lr={lr}·samples=2" for lr in ("0.01", "1e+30", "0.001"))):
        assert name in description


def test_a_failed_job_keeps_what_it_had_until_then(failing: tuple[Path, Done]) -> None:
    folder, _ = failing
    child = program.tracked(folder)[2]
    assert {"traceback.txt", JOURNAL} <= program.artifacts(folder, child.info.run_id)
    assert child.data.metrics["params/total"] == 1121
    [(step, value)] = program.history(folder, child.info.run_id, "train/loss")
    assert step == 1
    assert not math.isfinite(value)


# A run that is stopped --------------------------------------------------------------------------

LONG = "trainer.epochs=100000"
STOPPED = {
    "SIGINT": (signal.SIGINT, [LONG]),
    "SIGTERM": (signal.SIGTERM, [LONG]),
    "SIGHUP": (signal.SIGHUP, [LONG]),
    "SIGQUIT": (signal.SIGQUIT, [LONG, "tracking=journal"]),
    "SIGKILL": (signal.SIGKILL, [LONG, "tracking=journal"]),
    "sweep": (signal.SIGINT, ["-m", "hydra/launcher=basic", "seed=0,1,2", LONG]),
    "together": (signal.SIGINT, ["-m", "seed=0,1,2", LONG]),
}
Stopped = dict[str, tuple[Path, Done]]


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stopped]:
    """Programs that were stopped in the middle of training, all of them at about the same time."""
    folders = {name: tmp_path_factory.mktemp(name) for name in STOPPED}
    ended: Stopped = {}
    with ExitStack() as stack:
        processes = {}
        for name, (_, arguments) in STOPPED.items():
            started = program.running(program.with_database(folders[name]), *arguments)
            processes[name] = stack.enter_context(started)
        for name, process in processes.items():
            program.wait_until(program.trains(folders[name]), process)
            for _ in range(2):  # shells and launchers often signal twice
                process.send_signal(STOPPED[name][0])
        for name, process in processes.items():
            ended[name] = folders[name], program.finish(process)
        yield ended


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"])
def test_a_run_that_is_stopped_ends_as_killed(stopped: Stopped, name: str) -> None:
    folder, done = stopped[name]
    assert done.code == 128 + signal.Signals[name]
    assert f"Stopped by {name}" in done.err
    assert "Traceback" not in done.err
    directory = program.directory(folder)
    end = last(directory, "end")
    assert end is not None
    assert end["status"] == "KILLED"
    assert "traceback.txt" not in files(directory), "nothing went wrong"
    assert any((directory / "checkpoints").iterdir())
    if "tracking=journal" not in STOPPED[name][1]:
        [run] = program.tracked(folder)
        assert run.info.status == "KILLED"


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_what_was_measured_until_then_is_in_mlflow(stopped: Stopped, name: str) -> None:
    folder, _ = stopped[name]
    [run] = program.tracked(folder)
    logged = program.history(folder, run.info.run_id, "train/loss")
    journalled = program.journalled(program.directory(folder), "train/loss")
    expected = [(step, values[0]) for step, values in journalled]
    assert len(logged) >= 2
    # The signal may have come after a line was written and before it was queued.
    assert logged in (expected, expected[:-1])
    assert JOURNAL in program.artifacts(folder, run.info.run_id)


def test_a_sweep_that_is_stopped_runs_no_further_job(stopped: Stopped) -> None:
    folder, done = stopped["sweep"]
    assert done.code == 130
    assert "Traceback" not in done.err
    assert [directory.name for directory in program.directories(folder)] == ["0"]
    assert "2 of 3 jobs were not started" in done.out
    parent, child = program.tracked(folder)
    assert (parent.info.status, child.info.status) == ("KILLED", "KILLED")
    assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert len(program.history(folder, child.info.run_id, "train/loss")) >= 2


def test_jobs_that_are_trained_together_are_stopped_together(stopped: Stopped) -> None:
    folder, done = stopped["together"]
    assert done.code == 130
    assert "Traceback" not in done.err
    assert done.err.strip().splitlines()[-1] == "Stopped by SIGINT"
    assert "3 of 3 jobs did not finish" in done.out
    assert len(program.directories(folder)) == 3
    parent, *children = program.tracked(folder)
    assert len(children) == 3
    assert {run.info.status for run in (parent, *children)} == {"KILLED"}


def test_the_journal_of_a_process_that_was_killed_can_be_read(stopped: Stopped) -> None:
    folder, done = stopped["SIGKILL"]
    assert done.code == -signal.SIGKILL
    directory = program.directory(folder)
    assert last(directory, "end") is None, "nobody was there to write it"
    assert last(directory, "start") is not None
    steps = [step for step, _ in program.journalled(directory, "train/loss")]
    assert len(steps) >= 2
    assert steps == list(range(1, len(steps) + 1))


# Raised inside a destructor, an exception goes nowhere: Python prints it and carries on.
SWALLOWED = """
import os, signal, time
from harness.system import signals

class Noisy:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.001)

signals.install()
noisy = Noisy()
del noisy
print("not stopped", flush=True)
for _ in range(300):
    time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGTERM)
"""


def test_a_stop_that_went_unnoticed_can_be_repeated() -> None:
    command = [sys.executable, "-c", SWALLOWED]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "not stopped\n", "or else this decides nothing"
    assert done.returncode != 0, "three hundred signals were ignored"
    assert done.stderr.splitlines()[-1] == "harness.system.signals.Killed: SIGTERM"


def test_a_run_ends_as_killed_when_its_terminal_is_closed(tmp_path: Path) -> None:
    """SIGHUP comes, and whatever is printed afterwards has nowhere to go."""
    folder = program.with_database(tmp_path)
    terminal, end = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", TERMINAL, LONG],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=end,
        stdout=end,
        stderr=end,
        start_new_session=True,
        text=True,
    )
    os.close(end)
    Thread(target=read_all, args=[terminal], daemon=True).start()
    try:
        program.wait_until(program.trains(folder), process)
        os.close(terminal)
        assert process.wait(timeout=10 * program.PATIENCE) == 128 + signal.SIGHUP
    finally:
        process.kill()
        process.wait()
    end = last(program.directory(folder), "end")
    assert end is not None
    assert end["status"] == "KILLED"
    [run] = program.tracked(folder)
    assert run.info.status == "KILLED"


# A child of ours that takes the terminal for its own, as a shell's would.
TERMINAL = """
import fcntl, sys, termios
from harness import __main__

fcntl.ioctl(0, termios.TIOCSCTTY, 0)
sys.exit(__main__.main())
"""


def read_all(terminal: int) -> None:
    """Show the terminal, so that nobody waits for it."""
    with suppress(OSError):
        while os.read(terminal, 65536):
            pass


# Signals 1 and 3: one that was ignored stays so, as nohup wants it; the other ends a command.
ENDING = """
import os, signal, sys
from harness.system import signals

def command():
    os.kill(os.getpid(), signal.SIGHUP)
    print("goes on", flush=True)
    try:
        os.kill(os.getpid(), signal.SIGQUIT)
        sum(range(10**6))
    except BaseException as error:
        raise ImportError("half a module") from error
    return 0

signal.signal(signal.SIGHUP, signal.SIG_IGN)
sys.exit(signals.run_command(command))
"""


def test_an_ignored_hangup_stays_ignored_and_another_signal_ends_a_command() -> None:
    command = [sys.executable, "-c", ENDING]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "goes on\n"
    assert done.returncode == 128 + signal.SIGQUIT
    assert done.stderr == "\nStopped by SIGQUIT\n", "whatever the stop was turned into"


def test_a_system_has_the_signals_that_it_has() -> None:
    """Windows has no SIGHUP and no SIGQUIT."""
    code = "import signal; del signal.SIGHUP, signal.SIGQUIT\n"
    code += "from harness.system import signals; signals.install(); print(len(signals.SIGNALS))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("2\n", "")


# The notebooks ----------------------------------------------------------------------------------

# Parameters; then what the last training loss must lie between, loosely around what was printed.
NOTEBOOKS: dict[str, tuple[int, tuple[float, float] | None]] = {
    "ramp": (1121, (0.0, 30.0)),
    "sum": (1121, (0.0, 2.0)),
    "noise": (1121, (0.07, 0.10)),
    "binary": (1121, (0.6, 0.72)),
    "multi_step": (2702, (0.0, 400.0)),
    "forward": (32, None),
    "sgd_step": (6208, (1.0, 3.0)),
}


@pytest.fixture(scope="module")
def notebooks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Path]]:
    """The folder, and the directory of every notebook's run."""
    folder = program.with_database(tmp_path_factory.mktemp("notebooks"))
    names = ",".join(f"notebook_{name}" for name in NOTEBOOKS)
    done = program.run(folder, "-m", f"experiment={names}")
    assert done.code == 0, done.err
    return folder, dict(zip(NOTEBOOKS, program.directories(folder), strict=True))


Notebooks = tuple[Path, dict[str, Path]]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_reaches_the_loss_that_it_printed(notebooks: Notebooks, name: str) -> None:
    directory = notebooks[1][name]
    parameters, between = NOTEBOOKS[name]
    assert table(directory / "parameters.csv")["count"].iloc[-1] == parameters
    if between is not None:
        assert between[0] < final(directory) < between[1]


def test_the_notebooks_are_one_sweep_over_several_experiments(notebooks: Notebooks) -> None:
    parent, *children = program.tracked(notebooks[0])
    assert parent.info.status == "FINISHED"
    assert [c.info.run_name for c in children] == [f"notebook_{name}" for name in NOTEBOOKS]
    assert {c.data.tags["mlflow.parentRunId"] for c in children} == {parent.info.run_id}
    reader = program.mlflow(notebooks[0])
    assert reader.get_experiment(parent.info.experiment_id).name == "sweeps"
    places = [reader.get_experiment(c.info.experiment_id).name for c in children]
    assert places == [c.data.params["task.name"] for c in children]


def test_notebook_ramp_goes_on_counting(notebooks: Notebooks) -> None:
    probe = predictions(notebooks[1]["ramp"], "probe")
    assert probe["true"].tolist() == list(range(105, 115))
    assert probe["predicted"].to_numpy() == pytest.approx(probe["true"].to_numpy(), rel=0.1)


def test_notebook_multi_step_has_its_probe(notebooks: Notebooks) -> None:
    probe = predictions(notebooks[1]["multi_step"], "probe")
    assert probe["true"].tolist() == [100.0, 110.0]
    assert probe["output"].tolist() == [0, 1]
    # The notebook's own network says 114 and 127.
    assert probe["predicted"].to_numpy() == pytest.approx([100, 110], rel=0.3)


def test_notebook_noise_cannot_be_learnt(notebooks: Notebooks) -> None:
    assert final(notebooks[1]["noise"], "test/loss") == pytest.approx(1 / 12, abs=0.02)
    assert len(predictions(notebooks[1]["noise"], "test")) == 200


def test_notebook_binary_has_an_accuracy(notebooks: Notebooks) -> None:
    directory = notebooks[1]["binary"]
    rows = predictions(directory, "train")
    right = (rows["predicted"] > 0.5) == (rows["true"] > 0.5)
    assert final(directory, "train/accuracy") == pytest.approx(right.mean(), abs=1e-12)
    assert 0.45 < right.mean() < 0.75
    assert rows["predicted"].between(0, 1).all(), "probabilities"


def test_notebook_forward_answers_at_every_step(notebooks: Notebooks) -> None:
    directory = notebooks[1]["forward"]
    rows = table(directory / "predictions.csv")
    places = list(rows[["time_step", "output"]].itertuples(index=False, name=None))
    assert places == [(step, output) for step in range(3) for output in range(2)]
    assert rows["true"].isna().all()
    assert np.isfinite(rows["predicted"]).all()
    assert program.events(directory, "metrics") == [], "no epoch, no metric"
    before, after = (
        load_file(directory / f"weights/{name}.safetensors") for name in ("initial", "final")
    )
    assert all((before[name] == after[name]).all() for name in before)


def test_notebook_sgd_step_keeps_its_gradient(notebooks: Notebooks) -> None:
    weights = notebooks[1]["sgd_step"] / "weights"
    initial, final_, gradient = (
        load_file(weights / f"{name}.safetensors") for name in ("initial", "final", "gradient")
    )
    assert {name: value.shape for name, value in gradient.items()} == {
        "rnn.0.kernel": (1, 32, 64),
        "rnn.0.recurrent_kernel": (1, 64, 64),
        "rnn.0.bias": (1, 64),
    }
    for name, value in gradient.items():
        # The weights are rounded to float32 after a step of 0.01: half a unit of a number below 1.
        moved = (initial[name].astype(float) - final_[name]) / 0.01
        np.testing.assert_allclose(moved, value, rtol=1e-5, atol=2**-24 / 0.01)


# What is kept is right --------------------------------------------------------------------------


def run(directory: Path, *overrides: str) -> Result:
    composed = config(*overrides, "tracking=journal", f"results={directory.parent}")
    return run_module.run(composed, Identity(directory.name, directory, list(overrides)))


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_a_replica_is_the_run_with_its_seed(tmp_path: Path, backend: str) -> None:
    overrides = (f"backend={backend}", "trainer.epochs=3", "task.samples=200")
    together = run(tmp_path / "together", *overrides, "replicas=4", "seed=10")
    weights = load_file(tmp_path / "together/weights/final.safetensors")
    for r in range(4):
        directory = tmp_path / str(r)
        alone = run(directory, *overrides, f"seed={10 + r}")
        for name, value in load_file(directory / "weights/final.safetensors").items():
            np.testing.assert_allclose(weights[name][r], value[0], rtol=0, atol=1e-6)
        for metric in ("train/loss", "val/loss", "test/loss"):
            curve = program.journalled(tmp_path / "together", metric)
            own = program.journalled(directory, metric)
            assert [step for step, _ in curve] == [step for step, _ in own]
            shared = [values[r] for _, values in curve]
            assert shared == pytest.approx([values[0] for _, values in own], rel=1e-5)
        assert together.values["val/loss"][r] == pytest.approx(alone.values["val/loss"][0])


def test_a_replica_stops_early_as_it_would_alone(tmp_path: Path) -> None:
    overrides = ("task=binary", "task.rule=random", "task.samples=100", "optimizer.lr=0.02")
    overrides += ("trainer.epochs=40", "trainer.patience=2")
    together = run(tmp_path / "together", *overrides, "replicas=4", "seed=10")
    assert together.outcome is not None
    assert together.outcome.best_epoch is not None
    assert len(set(together.outcome.best_epoch)) > 1, "or else this decides nothing"
    weights = load_file(tmp_path / "together/weights/final.safetensors")
    for r in range(4):
        alone = run(tmp_path / str(r), *overrides, f"seed={10 + r}")
        assert alone.outcome is not None
        assert alone.outcome.best_epoch is not None
        assert alone.outcome.best_epoch[0] == together.outcome.best_epoch[r]
        for name, value in load_file(tmp_path / str(r) / "weights/final.safetensors").items():
            np.testing.assert_allclose(weights[name][r], value[0], rtol=0, atol=1e-6)
        for name, values in alone.values.items():
            assert together.values[name][r] == pytest.approx(values[0], rel=1e-5), name


def test_the_losses_of_scaled_data_are_in_original_units(tmp_path: Path) -> None:
    result = run(tmp_path / "0", "task.scale=standard", "trainer.epochs=2", "task.samples=200")
    for split in ("val", "test"):
        expected = mse(predictions(tmp_path / "0", split))
        assert final(tmp_path / "0", f"{split}/loss") == pytest.approx(expected, rel=1e-9)
        assert result.values[f"{split}/loss"] == pytest.approx([expected], rel=1e-9)
    true = predictions(tmp_path / "0", "train")["true"]
    assert true.mean() == pytest.approx(5.0, abs=0.5), "the sum of ten numbers, not a score"
    # Weights that hardly move: the loss of training is then that of its predictions.
    run(tmp_path / "1", "task.scale=standard", "trainer.epochs=1", "optimizer.lr=1e-12")
    expected = mse(predictions(tmp_path / "1", "train"))
    assert final(tmp_path / "1", "train/loss") == pytest.approx(expected, rel=1e-5)


def test_a_sweep_lists_the_loss_of_the_weights_that_are_kept(tmp_path: Path) -> None:
    overrides = ("task=binary", "task.rule=random", "task.samples=100", "optimizer.lr=0.02")
    result = run(tmp_path / "0", *overrides, "trainer.epochs=40", "trainer.patience=2")
    assert result.outcome is not None
    assert result.outcome.stopped_early
    note_job(tmp_path, 0, tmp_path / "0")
    [job] = jobs(tmp_path)
    assert job.loss == pytest.approx(result.loss)
