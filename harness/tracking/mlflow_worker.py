"""The worker process that writes runs to MLflow; `harness.tracking.mlflow_process` starts it.

Messages are one JSON object per line, in both directions. The process ends with its input. A run
that is still open then belongs to a program that was killed, and is closed as KILLED.
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
    """A log handler that sends messages and log records to the program."""

    def __init__(self, output: TextIO) -> None:
        super().__init__()
        self.output = output

    def say(self, **message: object) -> None:
        """Write a message to the program, as a line of JSON."""
        self.output.write(json.dumps(message) + "\n")
        self.output.flush()

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a log record on to the program."""
        self.say(log=record.getMessage(), level=record.levelno)


def serve(lines: TextIO, speaker: Speaker) -> None:
    """Carry out the requests, one per line, until there are no more."""
    buffers: dict[str, EventBuffer] = {}
    for line in lines:
        request = json.loads(line)
        run = request.pop("run")
        try:
            _do(buffers, run, speaker, **request)
        except ConfigError as error:
            speaker.say(run=run, refusal=str(error))
    for buffer in buffers.values():
        now = time.time_ns() // 1_000_000
        buffer.add(
            {"kind": "end", "time": now, "status": "KILLED", "error": "the process was killed"}
        )
        buffer.close()


def _do(buffers: dict[str, EventBuffer], run: str, speaker: Speaker, do: str, **data: Any) -> None:
    directory = Path(run)
    if do == "open":
        view = MlflowWriter(data["uri"], Path(data["results"]), directory)
        view.address = data.get("address", {})
        buffers[run] = EventBuffer(directory, view, data["flush_seconds"])
    elif do == "add":
        buffers[run].add(data["event"])
    elif do == "flush":
        buffers[run].flush()
    else:
        _close(buffers.pop(run), run, speaker)


def _close(buffer: EventBuffer, run: str, speaker: Speaker) -> None:
    buffer.close()
    speaker.say(run=run, address=buffer.wait_for_address())


def main() -> None:
    """Serve the program's requests until its end of the pipe is closed."""
    streams.prepare()
    signals.ignore()  # this process ends when the program has ended
    speaker = Speaker(os.fdopen(os.dup(1), "w", encoding="utf-8"))
    os.dup2(2, 1)  # MLflow's prints must not reach the program
    logging.getLogger("harness").addHandler(speaker)
    logging.getLogger("harness").propagate = False
    load_mlflow()
    with open(0, encoding="utf-8", errors="replace", closefd=False) as lines:
        serve(lines, speaker)
    leave()


if __name__ == "__main__":
    main()
