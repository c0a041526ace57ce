"""The results of a sweep, to compare one that was stopped and gone on with with one that never was.

They are read from journals, files, studies and MLflow's runs, with none of the harness's code.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from optuna import load_study
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from safetensors.numpy import load_file

from tests.faults.compare import PARENT, Curve, Journal, curve_difference, read

# What is equal to the bit. A run that goes on has its checkpoint as initial weights.
TEXTS = ("network.json", "parameters.csv", "predictions.csv")
FINAL_WEIGHTS = "weights/final.safetensors"
CHECKPOINTS = "checkpoints"
ALONE = "run.log"  # of a job that no other trained with

Arrays = dict[str, tuple[str, tuple[int, ...], bytes]]  # type, shape and bytes by name
Trials = list[tuple[dict[str, Any], list[float]]]  # parameters and values of each


@dataclass(frozen=True, kw_only=True)
class JobResult:
    """The result of a job: that of its last attempt, and the checkpoints of all."""

    name: str
    statuses: list[str | None]  # of its attempts that have begun
    curve: Curve
    files: set[str]
    contents: dict[str, bytes | Arrays]
    checkpoints: dict[str, Arrays]


def results_of(sweep: Path) -> dict[int, JobResult]:
    """Return the results of a sweep's jobs by their numbers."""
    folders: dict[int, list[Path]] = {}
    for event in read(sweep).all("job"):
        folders.setdefault(event["number"], []).append(sweep / event["folder"])
    return {number: _result([read(f) for f in folders[number]]) for number in sorted(folders)}


def _result(attempts: Sequence[Journal]) -> JobResult:
    last = attempts[-1]
    place = last.directory
    every = (path.relative_to(place) for path in place.rglob("*") if path.is_file())
    files = {path.as_posix() for path in every if path.parts[0] not in (CHECKPOINTS, ALONE)}
    texts = {name: (place / name).read_bytes() for name in files.intersection(TEXTS)}
    weights = {FINAL_WEIGHTS: _arrays(place / FINAL_WEIGHTS)} if FINAL_WEIGHTS in files else {}
    saved = (each.directory.glob(f"{CHECKPOINTS}/*.safetensors") for each in attempts)
    return JobResult(
        name=(last.start or {}).get("name", ""),
        statuses=[each.end.get("status") for each in attempts if each.start],
        curve=last.curve(),
        files=files,
        contents=texts | weights,
        checkpoints={path.name: _arrays(path) for paths in saved for path in paths},
    )


def _arrays(path: Path) -> Arrays:
    return {n: (str(a.dtype), a.shape, a.tobytes()) for n, a in load_file(path).items()}


def differences(whole: Mapping[int, JobResult], other: Mapping[int, JobResult]) -> list[str]:
    """Return how the results of a sweep differ from those of one that was never stopped.

    Both have kept all checkpoints.
    """
    if whole.keys() != other.keys():
        return [f"jobs {sorted(other)} instead of {sorted(whole)}"]
    return [
        f"job {number}: {difference}"
        for number in whole
        for difference in _differences(whole[number], other[number])
    ]


def _differences(one: JobResult, other: JobResult) -> Iterator[str]:
    if one.name != other.name:
        yield f"{other.name} instead of {one.name}"
    if other.statuses[-1:] != ["FINISHED"] or set(other.statuses[:-1]) - {"KILLED"}:
        yield f"ends {other.statuses}"
    curve = curve_difference(one.curve, other.curve, is_whole=True)
    if curve is not None:
        yield curve
    if one.files != other.files:
        yield f"only one has the files {sorted(one.files ^ other.files)}"
    for name in one.contents.keys() & other.contents.keys():
        if one.contents[name] != other.contents[name]:
            yield f"{name} differs"
    for name, arrays in one.checkpoints.items():
        if other.checkpoints.get(name) != arrays:
            yield f"{CHECKPOINTS}/{name} is missing or differs"


def tracking_problems(runs: Sequence[Any], names: Sequence[str]) -> list[str]:
    """Return what is wrong with MLflow's runs of one sweep whose jobs have these names.

    Each job is to be FINISHED once; its other attempts are KILLED. All have the same parent.
    """
    sweeps = [run for run in runs if run.data.tags.get("kind") == "sweep"]
    if len(sweeps) != 1:
        return [f"{len(sweeps)} parents"]
    [parent] = sweeps
    jobs = [run for run in runs if run is not parent]
    finished = [run.info.run_name for run in jobs if run.info.status == "FINISHED"]
    facts = {
        "the parent": (parent.info.status, "FINISHED"),
        "jobs/finished": (parent.data.metrics.get("jobs/finished"), len(names)),
        "finished": (Counter(finished), Counter(names)),
        "other ends": ({run.info.status for run in jobs} - {"FINISHED", "KILLED"}, set[str]()),
        "parents": ({run.data.tags.get(PARENT) for run in jobs}, {parent.info.run_id}),
    }
    return [
        f"MLflow, {what}: {actual} instead of {expected}"
        for what, (actual, expected) in facts.items()
        if actual != expected
    ]


def tracked(uri: str) -> list[Any]:
    """Return all runs of a store."""
    client = MlflowClient(tracking_uri=uri)
    places = [experiment.experiment_id for experiment in client.search_experiments()]
    return list(client.search_runs(places))


def trials_in(sweep: Path) -> Trials:
    """Return what a search has asked for and been told, in the order of its jobs."""
    storage = JournalStorage(JournalFileBackend(str(sweep / "study.log")))
    trials = load_study(study_name=sweep.name, storage=storage).trials
    jobs = sorted((t for t in trials if "job" in t.user_attrs), key=lambda t: t.user_attrs["job"])
    return [(trial.params, trial.values) for trial in jobs]
