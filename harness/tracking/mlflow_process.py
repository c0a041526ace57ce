"""MLflow in a process of its own: training waits neither for MLflow's import, nor for its writing.

It is started as soon as a run is known to need it. The program only names the directories of its
runs, and waits at its end until all is in MLflow. The process outlives it where a store does not
answer in time.
"""

import atexit
from pathlib import Path

from harness.config.schema import TrackingConfig
from harness.tracking.mlflow_pipe import MlflowPipe
from harness.tracking.mlflow_store import check_store, destination_in, say_unused
from harness.tracking.sent import destination
from harness.tracking.upload import Upload, in_utf8, wait

_process: MlflowPipe | None = None


def _use(process: MlflowPipe) -> None:
    global _process
    _process = process


def _started() -> MlflowPipe:
    if _process is None or _process.ended:
        _use(MlflowPipe(_use))
        atexit.register(finish)
    assert _process is not None
    return _process


def start(config: TrackingConfig) -> None:
    """Let the process begin to import MLflow, unless `config` has no MLflow.

    It writes nothing before `get_ready`, and a program that ends before that ends it, too.
    """
    if config.name == "mlflow":
        _started()


def get_ready(config: TrackingConfig, experiment: str, results: Path) -> None:
    """Start the process unless `config` has no MLflow; it also sends what earlier programs left.

    Raises `ConfigError` for a database that cannot be used and for a deleted experiment.
    """
    if config.name == "mlflow":
        check_store(destination_in(config.uri, results).uri, experiment)
        say_unused(config.experiment_or("") or None)
        process = _started()
        if not process.is_used:
            process.send(results=in_utf8(str(results.resolve())))


def track(
    config: TrackingConfig,
    experiment: str,
    results: Path,
    directory: Path,
    is_followed: bool = False,
) -> Upload | None:
    """Return the tracking of the run in `directory`, or None if `config` has no MLflow.

    The process need not be told of a run that `is_followed` already, with its sweep. Raises
    `ConfigError` as `get_ready` does.
    """
    if config.name != "mlflow":
        return None
    place = destination_in(config.uri, results)
    if is_followed:
        return Upload(directory, place, _tell_nobody)
    get_ready(config, experiment, results)
    return Upload(directory, place, _tell, config.flush_seconds, config.wait_seconds)


def follow(directory: Path, config: TrackingConfig) -> None:
    """Let the process follow the journal of a sweep, and those of its jobs as they begin."""
    place = destination(directory)
    if place is not None:
        _tell(Upload(directory, place, _tell, config.flush_seconds, config.wait_seconds))


def tell(directory: Path, wait_seconds: float = 0.0) -> None:
    """Let the process look at the journal in `directory`, if it is tracked by MLflow.

    `wait_seconds` is how long `wait_for_all` may wait for it, unless it is followed already.
    """
    known = {} if _process is None else _process.runs
    run, place = known.get(in_utf8(str(directory.resolve()))), destination(directory)
    if place is not None:
        _tell(run or Upload(directory, place, _tell, wait_seconds=wait_seconds))


def _tell_nobody(_: Upload) -> None:
    pass


def _tell(run: Upload) -> None:
    _started().tell(run)


def wait_for_all() -> list[Upload]:
    """Wait as `wait` does, for all runs of this process."""
    return [] if _process is None else wait(list(_process.runs.values()))


def finish() -> None:
    """Wait until all is in MLflow, but not too long; what is left the process sends alone."""
    global _process
    if _process is not None:
        wait_for_all()
        process, _process = _process, None
        process.finish()
