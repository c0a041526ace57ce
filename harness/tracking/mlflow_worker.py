"""The process that sends a program's journals to MLflow; see `harness.tracking.mlflow_pipe`.

Messages are one JSON object per line. The program names a journal when it begins and when it has
ended; in between the journal is looked at every few seconds. The answers are log records, and how
far each journal is. If the program ends first, this process goes on alone until all is in MLflow,
or until a store has taken nothing for `PATIENCE` seconds; `harness sync` does the rest.
"""

import gc
import json
import logging
import os
import queue
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from harness.config.tracking_store import masked
from harness.console import streams
from harness.console.command_line import counted
from harness.core.file_names import SENT
from harness.system import signals
from harness.tracking.dead_runs import end_if_dead
from harness.tracking.followed import Followed
from harness.tracking.journal import end_of
from harness.tracking.mlflow_store import leave, load_mlflow
from harness.tracking.reader import Reader
from harness.tracking.unsent import unsent

PATIENCE = 300.0  # seconds for which stores may take nothing after the program has ended
DYING = 10.0  # seconds after the end of its pipe in which a program ends

log = logging.getLogger("harness")


class Speaker(logging.Handler):
    """A log handler that sends messages and log records to the program, while it listens."""

    def __init__(self, output: TextIO) -> None:
        super().__init__()
        self.output = output

    def say(self, **message: object) -> None:
        """Write a message to the program, as a line of JSON."""
        with suppress(OSError, ValueError):  # the program has ended
            self.output.write(json.dumps(message) + "\n")
            self.output.flush()

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a log record on to the program."""
        self.say(log=masked(record.getMessage()), level=record.levelno)

    def report(self, run: Followed) -> None:
        """Say how far a journal is."""
        sent = run.follower.sent
        address = {"run_id": sent.run_id, "experiment_id": sent.experiment_id}
        state = {"complete": run.is_complete, "problem": run.problem}
        self.say(run=str(run.directory), address=address, **state)


class Server:
    """The program's requests, and the journals that it has named."""

    def __init__(self, lines: Iterable[str], speaker: Speaker) -> None:
        self.speaker = speaker
        self.reader, self._inbox = Reader(self._report), queue.SimpleQueue[str | None]()
        self._unsent: Path | None = None  # results in which unsent journals are still to be found
        threading.Thread(target=self._listen, args=(lines,), daemon=True).start()

    def _listen(self, lines: Iterable[str]) -> None:
        for line in lines:
            self._inbox.put(line)
        streams.lead_nowhere(1, 2)  # whoever waits for the program's output is to wait no longer
        self._inbox.put(None)

    def _report(self, run: Followed) -> None:
        self.speaker.report(run)
        if not gc.isenabled():  # MLflow has now imported what it needs, and that stays
            gc.freeze()
            gc.enable()

    def serve(self) -> None:
        """Send journals until the program has ended, and then what is left."""
        while self._take(self.reader.seconds_to_wait()):
            self.reader.advance()
            if self._unsent is not None:  # the program's own runs come first
                self._follow_unsent()
        self._complete()

    def _take(self, seconds: float) -> bool:
        """Take the requests that have come, after at most `seconds`; return False at their end."""
        with suppress(queue.Empty):
            line = self._inbox.get(timeout=seconds)
            while line is not None:
                self._carry_out(**json.loads(line))
                line = self._inbox.get(block=False)
            return False
        return True

    def _carry_out(
        self, run: str | None = None, every: float = 0.0, results: str | None = None
    ) -> None:
        if run is not None:
            self.reader.follow(Path(run), every, is_new=not Path(run, SENT).exists())
        if results is not None:
            self._unsent = Path(results)

    def _follow_unsent(self) -> None:
        """Follow the journals of programs that have ended before all was in MLflow."""
        assert self._unsent is not None
        found = [each for each in unsent(self._unsent) if not self.reader.follows(each)]
        self._unsent = None
        for directory in found:
            end_if_dead(directory)
            self.reader.follow(directory, every=0.0)
        if found:
            count = counted(len(found), "run")
            log.warning("MLflow now gets %s of programs that ended too early", count)

    def _complete(self) -> None:
        """Send what is left of the program's journals; end those that it left without an end."""
        dying = time.monotonic() + DYING
        limit, progress = time.monotonic() + PATIENCE, self.reader.progress()
        for run in self.reader.open.values():
            run.every = 0.0
            run.look_again()
        while self.reader.open and time.monotonic() < limit:
            for directory in list(self.reader.open):
                self._end(directory, time.monotonic() > dying)
            self.reader.advance()
            before, progress = progress, self.reader.progress()
            if progress != before:
                limit = time.monotonic() + PATIENCE
            time.sleep(min(0.2, self.reader.seconds_to_wait()))

    def _end(self, directory: Path, gives_up: bool) -> None:
        """End the journal of a dead program; leave one alone whose process still runs."""
        with suppress(Exception):  # it may be gone
            if end_of(directory) is None and not end_if_dead(directory) and gives_up:
                del self.reader.open[directory]


def main() -> None:
    """Serve the program's requests until its end of the pipe is closed."""
    streams.prepare()
    signals.ignore()  # this process ends when the program has ended
    # It tries again by itself; and a client that does so may create a run twice.
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    speaker = Speaker(os.fdopen(os.dup(1), "w", encoding="utf-8"))
    os.dup2(2, 1)  # MLflow's prints must not reach the program
    log.addHandler(speaker)
    log.propagate = False
    gc.disable()  # until a journal is sent, see `harness.system.garbage`
    load_mlflow()
    with open(0, encoding="utf-8", errors="replace", closefd=False) as lines:
        Server(lines, speaker).serve()
    leave()


if __name__ == "__main__":
    main()
