"""Check what a store of MLflow has of journals: absent, incomplete or doubled runs, statuses."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from harness.config.tracking_store import database_of
from harness.core.errors import ConfigError
from harness.core.file_names import JOURNAL
from harness.doctor.finding import Finding
from harness.runs.checksums import recorded_files
from harness.tracking import sent
from harness.tracking.destination import Destination
from harness.tracking.follower import Follower
from harness.tracking.journal import end_of, first
from harness.tracking.mlflow_errors import explained
from harness.tracking.mlflow_runs import EVERYTHING, journal_id
from harness.tracking.mlflow_store import client
from harness.tracking.mlflow_writer import BYTES, ID

MEND = "--fix sends what is missing, as `harness sync` does"


def check_store(place: Destination, directories: Sequence[Path]) -> Iterator[Finding]:
    """Yield how a store differs from the journals in `directories`, whose runs belong there."""
    database = database_of(place.uri)
    shown = database or place.uri
    if database is not None and not database.exists():
        for directory in directories:
            yield _incomplete(directory, "MLflow's database is gone")
        return
    try:
        runs = _runs_by_journal(client(place.uri))
    except Exception as error:  # whatever a store does
        problem = explained(error).removeprefix(f"{shown}: ")
        yield Finding(path=shown, problem=problem, remedy=_remedy(error))
        return
    for directory in directories:
        start = first(directory, ("start",))
        assert start is not None
        yield from _compare(client(place.uri), directory, place, runs[journal_id(start)])


def _remedy(error: Exception) -> str:
    text = str(error)
    if isinstance(error, ConfigError):
        return "see the message"
    if "malformed" in text or "not a database" in text:
        return "move it away; then `harness sync` makes it anew from the journals"
    if "out-of-date database schema" in text:
        return "make a copy of it, then run `mlflow db upgrade sqlite:///PATH`"
    return "start the server, or name the right one; then run this again"


def _runs_by_journal(mlflow: Any) -> dict[str, list[Any]]:
    """Return all runs of a store by their journals' ids."""
    runs: dict[str, list[Any]] = defaultdict(list)
    experiments = [e.experiment_id for e in mlflow.search_experiments(view_type=EVERYTHING)]
    token: str | None = None
    while True:
        page = mlflow.search_runs(experiments, "", EVERYTHING, 1000, page_token=token)
        for run in page:
            runs[run.data.tags.get(ID, "")].append(run)
        token = page.token
        if not token:
            return runs


def _compare(
    mlflow: Any, directory: Path, place: Destination, runs: list[Any]
) -> Iterator[Finding]:
    active = [run for run in runs if run.info.lifecycle_stage == "active"]
    if not runs:
        yield _incomplete(directory, "MLflow does not have it")
    if not active:  # deleted in MLflow by somebody, who will have had a reason
        return
    known = (sent.address(directory, place) or {}).get("run_id")
    run = next((each for each in active if each.info.run_id == known), active[0])
    for double in active:
        if double is not run:
            yield Finding(
                path=directory,
                problem=f"MLflow has it twice, also as {double.info.run_id}",
                remedy="--fix deletes that one in MLflow, where it can be restored",
                fix=partial(_delete, mlflow, double.info.run_id),
            )
    end = end_of(directory)
    if end is not None:
        if int(run.data.tags.get(BYTES, 0)) < (directory / JOURNAL).stat().st_size:
            yield _incomplete(directory, "MLflow has a part of it")
        elif run.info.status != end["status"]:
            problem = f"is {run.info.status} in MLflow, but {end['status']} in its journal"
            yield _incomplete(directory, problem)
        elif missing := _missing_files(mlflow, run.info.run_id, directory):
            yield _incomplete(directory, f"MLflow lacks {', '.join(missing)}")


def _incomplete(directory: Path, problem: str) -> Finding:
    return Finding(path=directory, problem=problem, remedy=MEND, fix=partial(_send, directory))


def _missing_files(mlflow: Any, run_id: str, directory: Path) -> list[str]:
    """Return the files of which MLflow has no copy of the right size."""
    sizes: dict[str, int] = {}
    folders = [None]
    while folders:
        for entry in mlflow.list_artifacts(run_id, folders.pop()):
            if entry.is_dir:
                folders.append(entry.path)
            else:
                sizes[entry.path] = entry.file_size
    files = recorded_files(directory, ("file",))
    there = {path: event for path, event in files.items() if (directory / path).is_file()}
    return [path for path, event in there.items() if sizes.get(path) != event.get("bytes")]


def _send(directory: Path) -> str:
    """Send a journal from its beginning; what MLflow has already is there once."""
    place = sent.destination(directory)
    assert place is not None
    follower = Follower(directory, place)
    follower.start_anew()
    if not follower.advance().complete:
        raise ConfigError(f"not all was taken ({follower.problem or 'the run goes on'})")
    return "sent"


def _delete(mlflow: Any, run_id: str) -> str:
    mlflow.delete_run(run_id)
    return f"deleted {run_id}"
