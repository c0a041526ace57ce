"""MLflow in a process of its own: training waits neither for MLflow's import, nor for its writing.

The process reads the journals of the program's runs; the program only names their directories. It
sends back its warnings and how far each run is. If it dies, another one goes on where it was. It
outlives the program where a store does not answer in time.
"""

import atexit
import json
import logging
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path

from harness.config.schema import TrackingConfig
from harness.console.streams import LEGIBLE
from harness.tracking.mlflow_store import check_store, destination_in, say_unused
from harness.tracking.sent import destination
from harness.tracking.upload import ANNOUNCED, Upload, in_utf8, wait

log = logging.getLogger(__name__)

RESTARTS = 3  # of a process that dies


class MlflowProcess:
    """The process, and two threads of the program that write to it and read from it."""

    def __init__(self, restarts: int = RESTARTS) -> None:
        self._restarts, self._finishes, self.ended = restarts, False, False
        self.runs: dict[str, Upload] = {}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "harness.tracking.mlflow_worker"],
            env=_surroundings(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the program, which closes its runs first
        )
        self._outgoing: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=work, daemon=True) for work in (self._write, self._listen)
        ]
        for thread in self._threads:
            thread.start()

    def tell(self, run: Upload) -> None:
        """Let the process look at a run."""
        request = run.request()
        self.runs[str(request["run"])] = run
        self.send(**request)

    def send(self, **request: object) -> None:
        """Send a request to the process."""
        self._outgoing.put(json.dumps(request) + "\n")

    def finish(self) -> None:
        """Let the process end when it has sent everything; wait for that if it has."""
        self._finishes = True
        self._outgoing.put(None)
        if all(run.has_arrived.is_set() for run in self.runs.values()):
            for thread in self._threads:
                thread.join(timeout=ANNOUNCED)

    def _write(self) -> None:
        assert self._process.stdin is not None
        try:
            with self._process.stdin as pipe:
                while (line := self._outgoing.get()) is not None:
                    pipe.write(line.encode("utf-8", LEGIBLE))
                    if self._outgoing.empty():
                        pipe.flush()
        except OSError:  # the process has ended; `_listen` goes on from here
            pass

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as pipe:
            for line in pipe:
                message = json.loads(line)
                if "log" in message:
                    log.log(message["level"], "%s", message["log"])
                elif (run := self.runs.get(message.pop("run"))) is not None:
                    run.hear(**message)
        self._process.wait()
        self.ended = True
        self._outgoing.put(None)
        if not self._finishes:
            self._replace()

    def _replace(self) -> None:
        """Let a new process go on with the runs that MLflow does not have yet."""
        log.warning("the process that writes to MLflow has ended (%s)", self._process.returncode)
        left = [run for run in self.runs.values() if not run.has_arrived.is_set()]
        for run in left:
            run.problem = "the process that writes to MLflow has ended"
        if self._restarts == 0:
            for run in left:
                run.wait_seconds = 0.0
        elif left:
            new = MlflowProcess(self._restarts - 1)
            _use(new)
            for run in left:
                new.tell(run)


def _surroundings() -> dict[str, str]:
    """Return the environment of the process.

    It has UTF-8 mode, since MLflow takes every file's name for UTF-8, and no PYTHONWARNINGS, since
    users can do nothing about warnings of MLflow's own code.
    """
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
    return variables | {"PYTHONUTF8": "1"}


_process: MlflowProcess | None = None


def _use(process: MlflowProcess) -> None:
    global _process
    _process = process


def _started() -> MlflowProcess:
    if _process is None or _process.ended:
        _use(MlflowProcess())
        atexit.register(finish)
    assert _process is not None
    return _process


def get_ready(config: TrackingConfig, experiment: str, results: Path) -> None:
    """Start the process, which begins to import MLflow, unless `config` has no MLflow.

    Raises `ConfigError` for a database that cannot be used and for a deleted experiment.
    """
    if config.name == "mlflow":
        check_store(destination_in(config.uri, results).uri, experiment)
        say_unused(config.experiment_or("") or None)
        if _process is None or _process.ended:
            _started().send(results=in_utf8(str(results.resolve())))


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
