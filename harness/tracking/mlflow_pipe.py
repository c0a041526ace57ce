"""The program's end of the pipe to the process that sends its journals to MLflow.

The process reads the journals by itself; it is told their directories, and sends back its warnings
and how far each run is. If it dies, another one goes on where it was.
"""

import json
import logging
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable

from harness.console.streams import LEGIBLE
from harness.tracking.upload import ANNOUNCED, Upload

log = logging.getLogger(__name__)

RESTARTS = 3  # of a process that dies


class MlflowPipe:
    """The process, and two threads of the program that write to it and read from it.

    `use` is told of the one that takes its place.
    """

    def __init__(self, use: "Callable[[MlflowPipe], None]", restarts: int = RESTARTS) -> None:
        self._use, self._restarts = use, restarts
        self._finishes, self.ended = False, False
        self.is_used = False  # whether a request was sent
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
        self.is_used = True
        self._outgoing.put(json.dumps(request) + "\n")

    def finish(self) -> None:
        """Let the process end when it has sent everything; wait for that if it has.

        One that is not used is killed: it would first import MLflow.
        """
        self._finishes = True
        if not self.is_used:
            self._process.kill()
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
            new = MlflowPipe(self._use, self._restarts - 1)
            self._use(new)
            for run in left:
                new.tell(run)


def _surroundings() -> dict[str, str]:
    """Return the environment of the process.

    It has UTF-8 mode, since MLflow takes every file's name for UTF-8, and no PYTHONWARNINGS, since
    users can do nothing about warnings of MLflow's own code.
    """
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
    return variables | {"PYTHONUTF8": "1"}
