"""MLflow in a worker process: training does not wait for MLflow's import, nor for its writing.

The process gets every event right after the journal, and keeps an `EventBuffer` for each run. It
sends back its warnings, and whether MLflow refuses the run. It goes on after the program has ended,
or was killed, until it has sent all its events.
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
from typing import Any

from harness.config.schema import TrackingConfig
from harness.console.streams import LEGIBLE
from harness.core.errors import ConfigError
from harness.system import signals
from harness.tracking.event_buffer import say_lost
from harness.tracking.journal import Event
from harness.tracking.mlflow_store import check_store, say_unused, tracking_uri

log = logging.getLogger(__name__)


class MlflowProcess:
    """The worker process, and two threads of the program that write to it and read from it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "harness.tracking.mlflow_worker"],
            env=_surroundings(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the program, which closes its runs first
        )
        self._outgoing: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self.open_runs: dict[str, RemoteEvents] = {}
        self.ended = False
        self._threads = [
            threading.Thread(target=work, daemon=True) for work in (self._write, self._listen)
        ]
        for thread in self._threads:
            thread.start()

    def tell(self, run: str, **request: object) -> None:
        """Send a request about a run to the process."""
        self._outgoing.put(json.dumps({"run": run, **request}, ensure_ascii=False) + "\n")

    def finish(self) -> None:
        """Wait until the process has ended: all events are in MLflow, or cannot be sent."""
        self._outgoing.put(None)
        for thread in self._threads:
            thread.join()

    def _write(self) -> None:
        assert self._process.stdin is not None
        try:
            with self._process.stdin as pipe:
                while (line := self._outgoing.get()) is not None:
                    pipe.write(line.encode("utf-8", LEGIBLE))
                    if self._outgoing.empty():
                        pipe.flush()
        except OSError:  # the process has ended; `_listen` marks that
            pass

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as pipe:
            for line in pipe:
                message = json.loads(line)
                if "log" in message:
                    log.log(message["level"], "%s", message["log"])
                else:
                    self.open_runs[message["run"]].hear(message)
        self._process.wait()
        self.ended = True
        for run in list(self.open_runs.values()):
            run.left_behind()


class RemoteEvents:
    """The `harness.tracking.run_log.Tracking` of a run whose events go through the process."""

    def __init__(self, process: MlflowProcess, directory: Path, **destination: object) -> None:
        self.process, self.directory = process, directory
        self._run = _in_utf8(str(directory.resolve()))
        self._address: dict[str, str] = {}
        self._refusal: str | None = None
        self.arrived = threading.Event()
        self._destination: dict[str, object] | None = {
            name: _in_utf8(value) if isinstance(value, str) else value
            for name, value in destination.items()
        }

    def wait_for_address(self) -> dict[str, str]:
        """Wait until the run is closed in MLflow, or cannot be; return its address.

        The address is empty if the run is not there. Raises `ConfigError` if MLflow has refused it.
        """
        self.arrived.wait()
        self._check()
        return self._address

    def add(self, event: Event) -> None:
        """Send an event of the run; raise `ConfigError` if MLflow has refused the run."""
        self._check()
        if self._destination is not None:
            self.process.open_runs[self._run] = self
            self.process.tell(self._run, do="open", **self._destination)
            self._destination = None
        self.process.tell(self._run, do="add", event=event)

    def flush(self) -> None:
        """Have the process write what is buffered; raise `ConfigError` as `add` does."""
        self._check()
        self.process.tell(self._run, do="flush")

    def close(self) -> None:
        """Have the process write the rest of the run and close it."""
        self.process.tell(self._run, do="close")
        if self.process.ended:
            self.left_behind()

    def hear(self, message: dict[str, Any]) -> None:
        """Take an answer of the process: a refusal, or the run's address."""
        self._refusal = message.get("refusal", self._refusal)
        if "address" in message:
            self._address = message["address"]
            self.arrived.set()

    def left_behind(self) -> None:
        """Give up on the run's events, since the process has ended."""
        if not self.arrived.is_set():
            say_lost(["events"], self.directory)
            self.arrived.set()

    def _check(self) -> None:
        """Raise `ConfigError` if MLflow has refused the run; once only."""
        refusal, self._refusal = self._refusal, None
        if refusal is not None:
            raise ConfigError(refusal)


def _surroundings() -> dict[str, str]:
    """Return the environment of the process.

    It has UTF-8 mode, since MLflow takes every file's name for UTF-8, and no PYTHONWARNINGS, since
    users can do nothing about warnings of MLflow's own code.
    """
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
    return variables | {"PYTHONUTF8": "1"}


def _in_utf8(path: str) -> str:
    """Return a path as the process reads it, whatever the locale here; see `os.fsencode`."""
    return os.fsencode(path).decode("utf-8", "surrogateescape")


_process: MlflowProcess | None = None


def _started() -> MlflowProcess:
    global _process
    if _process is None or _process.ended:
        _process = MlflowProcess()
        atexit.register(finish)
    return _process


def get_ready(config: TrackingConfig, experiment: str, results: Path) -> None:
    """Start the process, which begins to import MLflow, unless `config` has no MLflow.

    Raises `ConfigError` for a database that cannot be used and for a deleted experiment.
    """
    if config.name == "mlflow":
        check_store(tracking_uri(config.uri, results), experiment)
        say_unused(config.experiment_or("") or None)
        _started()


def track(
    config: TrackingConfig, experiment: str, results: Path, directory: Path
) -> RemoteEvents | None:
    """Return the tracking of the run in `directory`, or None if `config` has no MLflow.

    Raises `ConfigError` as `get_ready` does.
    """
    get_ready(config, experiment, results)
    if config.name != "mlflow":
        return None
    uri, seconds = tracking_uri(config.uri, results), config.flush_seconds
    place = str(results.resolve())
    return RemoteEvents(_started(), directory, uri=uri, results=place, flush_seconds=seconds)


def track_on(directory: Path, address: dict[str, str]) -> RemoteEvents:
    """Return the tracking of further events of a run that is in MLflow already, at `address`."""
    known_run = {key: address[key] for key in ("run_id", "experiment_id", "uri")}
    place = {"uri": address["uri"], "results": str(directory), "flush_seconds": 60.0}
    return RemoteEvents(_started(), directory, **place, address=known_run)


def wait() -> None:
    """Wait until all runs that have ended are closed in MLflow, or cannot be."""
    if _process is not None:
        for run in list(_process.open_runs.values()):
            run.arrived.wait()


def finish() -> None:
    """Wait until all events are sent, and end the process."""
    global _process
    if _process is not None:
        process, _process = _process, None
        with signals.closing():
            process.finish()
