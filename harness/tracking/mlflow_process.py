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
import time
from collections.abc import Sequence
from pathlib import Path

from harness.config.schema import TrackingConfig
from harness.console.streams import LEGIBLE
from harness.system import signals
from harness.tracking.destination import Destination
from harness.tracking.mlflow_store import check_store, destination_in, say_unused

log = logging.getLogger(__name__)

RESTARTS = 3  # of a process that dies
ANNOUNCED = 1.5  # seconds of waiting after which the program says why it does not end


class Upload:
    """A run on its way to MLflow: the `harness.tracking.run_log.Tracking` of a run."""

    def __init__(
        self, directory: Path, place: Destination, every: float = 0.0, wait_seconds: float = 0.0
    ) -> None:
        self.directory, self.place = directory, place
        self.every, self.wait_seconds = every, wait_seconds
        self.has_arrived = threading.Event()
        self.address: dict[str, str] = {}
        self.problem = "it has not been sent yet"

    @property
    def store(self) -> dict[str, str]:
        """Where the run is to be tracked, as its journal has it."""
        return self.place.seen_from(self.directory)

    def tell(self) -> None:
        """Let the process look at the journal, which has news."""
        _started().tell(self)

    def request(self) -> dict[str, object]:
        """Return the request that `tell` sends."""
        return {"run": in_utf8(str(self.directory.resolve())), "every": self.every}

    def hear(self, address: dict[str, str], complete: bool, problem: str) -> None:
        """Take the process's report."""
        self.address, self.problem = address | {"uri": self.place.uri}, problem
        if complete:
            self.has_arrived.set()

    def wait_for_address(self) -> dict[str, str]:
        """Wait until all of the run is in MLflow, for `tracking.wait_seconds` at most.

        Returns its `run_id`, `experiment_id` and `uri`; an empty dict if not all of it is there.
        """
        wait([self])
        return self.address if self.has_arrived.is_set() else {}


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


def in_utf8(path: str) -> str:
    """Return a path as the process reads it, whatever the locale here; see `os.fsencode`."""
    return os.fsencode(path).decode("utf-8", "surrogateescape")


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


def track(config: TrackingConfig, experiment: str, results: Path, directory: Path) -> Upload | None:
    """Return the tracking of the run in `directory`, or None if `config` has no MLflow.

    Raises `ConfigError` as `get_ready` does.
    """
    get_ready(config, experiment, results)
    if config.name != "mlflow":
        return None
    place = destination_in(config.uri, results)
    return Upload(directory, place, config.flush_seconds, config.wait_seconds)


def wait(runs: Sequence[Upload]) -> list[Upload]:
    """Wait until all of the runs is in MLflow; return those of which a part is missing.

    After `tracking.wait_seconds` of them the wait ends, or at Ctrl-C. On a terminal it is announced
    if it is not short.
    """
    began, stops = time.monotonic(), signals.count()
    seconds = max((run.wait_seconds for run in runs), default=0.0)
    announced = not sys.stderr.isatty()
    with signals.closing():
        while left := [run for run in runs if not run.has_arrived.is_set()]:
            waited = time.monotonic() - began
            if waited > seconds or signals.count() > stops:
                break
            if waited > ANNOUNCED and not announced:
                announced = True
                print(
                    f"  waiting for MLflow, up to {seconds:g} s (Ctrl-C ends it)", file=sys.stderr
                )
            left[0].has_arrived.wait(0.05)
    for run in left:
        run.wait_seconds = 0.0  # once is enough
    return left


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
