"""The worker process that writes runs to MLflow; `harness.tracking.mlflow_process` starts it.

One JSON object per line, in either direction. It ends with its input. A run that is still open then
belongs to a program that was killed, and MLflow is told so.
"""

import json
import logging
import os
import time
from pathlib import Path
from typing import Any, TextIO

from harness.console import streams
from harness.core.errors import ConfigError
from harness.system import signals
from harness.tracking.event_buffer import EventBuffer
from harness.tracking.mlflow_store import leave, load_mlflow
from harness.tracking.mlflow_writer import MlflowWriter


class Speaker(logging.Handler):
    """Tells the program what would be logged."""

    def __init__(self, output: TextIO) -> None:
        super().__init__()
        self.output = output

    def say(self, **what: object) -> None:
        """Write a message to the program, as a line of JSON."""
        self.output.write(json.dumps(what) + "\n")
        self.output.flush()

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a log record on to the program."""
        self.say(log=record.getMessage(), level=record.levelno)


def serve(lines: TextIO, speaker: Speaker) -> None:
    """Do what the lines say until there are no more."""
    feeds: dict[str, EventBuffer] = {}
    for line in lines:
        told = json.loads(line)
        run = told.pop("run")
        try:
            _do(feeds, run, speaker, **told)
        except ConfigError as error:
            speaker.say(run=run, refusal=str(error))
    for feed in feeds.values():
        now = time.time_ns() // 1_000_000
        feed.add(
            {"kind": "end", "time": now, "status": "KILLED", "error": "the process was killed"}
        )
        feed.close()


def _do(feeds: dict[str, EventBuffer], run: str, speaker: Speaker, do: str, **what: Any) -> None:
    directory = Path(run)
    if do == "open":
        view = MlflowWriter(what["uri"], Path(what["results"]), directory)
        view.address = what.get("address", {})
        feeds[run] = EventBuffer(directory, view, what["flush_seconds"])
    elif do == "add":
        feeds[run].add(what["event"])
    elif do == "flush":
        feeds[run].flush()
    else:
        _close(feeds.pop(run), run, speaker)


def _close(feed: EventBuffer, run: str, speaker: Speaker) -> None:
    feed.close()
    speaker.say(run=run, address=feed.wait_for_address())


def main() -> None:
    """Serve the program's requests until its end of the pipe is closed."""
    streams.prepare()
    signals.ignore()  # it ends when the program has ended
    speaker = Speaker(os.fdopen(os.dup(1), "w", encoding="utf-8"))
    os.dup2(2, 1)  # what MLflow prints is not for the program
    logging.getLogger("harness").addHandler(speaker)
    logging.getLogger("harness").propagate = False
    load_mlflow()
    with open(0, encoding="utf-8", errors="replace", closefd=False) as lines:
        serve(lines, speaker)
    leave()


if __name__ == "__main__":
    main()
