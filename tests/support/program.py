"""The real program in a process of its own: run it, wait for what it writes, read MLflow back.

Nothing here is timed: a wait polls for what it waits for and gives up only when something hangs.
"""

import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from harness.core.file_names import JOURNAL
from harness.tracking.journal import Event, read
from harness.tracking.mlflow_store import client
from tests.support import ROOT

PATIENCE = 1200.0  # seconds after which a program hangs: many times what a busy machine takes

# For the `pytestmark` of a module that uses MLflow in its own process.
uses_mlflow = [
    # MLflow 3.17 maps its tables with a loader that SQLAlchemy 2.1 has deprecated.
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated"),
]


@dataclass(frozen=True)
class Done:
    """How a program ended."""

    code: int
    out: str
    err: str


def start(
    folder: Path, *arguments: str, flags: tuple[str, ...] = (), path: tuple[Path, ...] = ()
) -> subprocess.Popen[str]:
    """`python -m harness ARGUMENTS` in `folder`, which need not know where the sources are.

    Modules are found in the folders `path` first.
    """
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HYDRA_", "HARNESS_SWEEP"))}
    return subprocess.Popen(
        [sys.executable, *flags, "-m", "harness", *arguments],
        cwd=folder,
        env=kept | {"PYTHONPATH": os.pathsep.join(map(str, (*path, ROOT)))},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> Done:
    try:
        out, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    return Done(process.returncode, out, err)


def run(folder: Path, *arguments: str, flags: tuple[str, ...] = ()) -> Done:
    return finish(start(folder, *arguments, flags=flags))


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A program that is ended with the block, whatever happens in it."""
    process = start(folder, *arguments)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_until(happened: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Poll while the program runs."""
    limit = time.monotonic() + PATIENCE
    while not happened():
        assert process.poll() is None, f"it ended too early: {process.communicate()[1]}"
        assert time.monotonic() < limit, "nothing happened"
        time.sleep(0.02)


def directories(folder: Path) -> list[Path]:
    """The directories of all runs and jobs, in the order in which they were made."""
    results = folder / "results"
    found = [*results.glob(f"runs/*/{JOURNAL}"), *results.glob(f"multirun/*/*/{JOURNAL}")]
    return sorted(path.parent for path in found)


def directory(folder: Path) -> Path:
    """The directory of the only run."""
    [only] = directories(folder)
    return only


def events(run_directory: Path, kind: str) -> list[Event]:
    return [event for event in read(run_directory) if event["kind"] == kind]


def journalled(run_directory: Path, metric: str) -> list[tuple[int, list[float]]]:
    """Step and values of one metric, as the journal has them."""
    found = events(run_directory, "metrics")
    return [(e["step"], e["values"][metric]) for e in found if metric in e["values"]]


def trains(folder: Path, epoch: int = 2) -> Callable[[], bool]:
    """Whether the last run to have begun has that many epochs behind it."""

    def reached() -> bool:
        begun = directories(folder)
        return bool(begun) and len(journalled(begun[-1], "train/loss")) >= epoch

    return reached


@cache
def empty_database() -> bytes:
    """MLflow's database before the first run; its migrations take seconds, so it is made once."""
    with tempfile.TemporaryDirectory() as folder:
        client(f"sqlite:///{folder}/mlflow.db")
        with closing(sqlite3.connect(f"{folder}/mlflow.db")) as connection:
            return connection.serialize()


def with_database(folder: Path, results: str = "results") -> Path:
    """`folder`, with an empty database in its results."""
    (folder / results).mkdir(parents=True)
    (folder / results / "mlflow.db").write_bytes(empty_database())
    return folder


def mlflow(folder: Path) -> Any:
    """A client of the results in `folder`."""
    return client(f"sqlite:///{folder}/results/mlflow.db")


def tracked(folder: Path) -> list[Any]:
    """Every MLflow run there, oldest first."""
    reader = mlflow(folder)
    places = [e.experiment_id for e in reader.search_experiments()]
    return list(reader.search_runs(places, order_by=["attributes.start_time ASC"]))


def history(folder: Path, run_id: str, metric: str) -> list[tuple[int, float]]:
    """Step and value of one metric by step, as MLflow has them."""
    found = mlflow(folder).get_metric_history(run_id, metric)
    return [(m.step, m.value) for m in sorted(found, key=lambda m: m.step)]


def artifacts(folder: Path, run_id: str, path: str | None = None) -> set[str]:
    """The paths of all files that MLflow keeps of a run."""
    found: set[str] = set()
    for entry in mlflow(folder).list_artifacts(run_id, path):
        found |= artifacts(folder, run_id, entry.path) if entry.is_dir else {entry.path}
    return found
