"""The process of a recorded program: its start, its end, and what it told."""

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from harness.record.events import Events, read_events
from harness.system import signals

SECONDS = 0.5  # between looks at whether this process was asked to stop


def run_program(
    program: Path, arguments: Sequence[str], folder: Path, training: int
) -> tuple[int, Events]:
    """Run a script or a notebook to its end, its N-th training being recorded in `folder`.

    Returns its exit code, negative for a signal, and what it told.
    """
    module = "notebook" if program.suffix == ".ipynb" else "script"
    with tempfile.TemporaryDirectory() as place:
        events = Path(place, "events.jsonl")
        events.touch()
        settings = {"folder": str(folder), "wanted": training, "events": str(events)}
        start = [sys.executable, "-m", f"harness.record.{module}", json.dumps(settings)]
        sys.stdout.flush()
        code = _wait(subprocess.Popen([*start, str(program), *arguments]))
        return code, read_events(events)


def _wait(process: subprocess.Popen[bytes]) -> int:
    """Wait for a process; a terminal's signals reach it by themselves, SIGTERM is passed on."""
    passed_on = False
    while True:
        try:
            return process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            stop = signals.requested_stop()
            if stop is not None and stop.code == 128 + signal.SIGTERM and not passed_on:
                process.terminate()
                passed_on = True
