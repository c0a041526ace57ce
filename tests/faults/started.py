"""A program of the harness that a fault has started, and what it has made so far."""

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.faults.compare import JOURNAL, directories
from tests.support.readers import readers_of

LIMIT = 300.0  # seconds after which a program hangs; a busy machine may need a tenth of it

Words = tuple[str, ...]


@dataclass
class Program:
    """A command of the harness in a process of its own, in a session of its own."""

    folder: Path
    words: Words
    process: subprocess.Popen[Any]
    output: Path  # of both streams
    before: set[Path]  # journals that were there before
    began: float = field(default_factory=time.monotonic)

    def own(self) -> list[Path]:
        """Return the directories with journals that have been made since it began."""
        return [path for path in directories(self.folder) if path not in self.before]

    def lines(self) -> int:
        """Return how many lines its journals have by now."""
        return sum((path / JOURNAL).read_bytes().count(b"\n") for path in self.own())

    def wait_until(self, happened: Callable[[], Any], limit: float = LIMIT) -> bool:
        """Poll while the program runs; return whether it happened."""
        end = time.monotonic() + limit
        while not happened():
            if self.process.poll() is not None or time.monotonic() > end:
                return False
            time.sleep(0.005)
        return True

    def readers(self) -> list[psutil.Process]:
        """Return the processes that send its journals to MLflow."""
        return readers_of(self.process.pid)
