"""The trainings of a program while it runs, and where the wanted one is recorded.

This is in the program's own process. So nothing is imported that the program has not imported: it
may set variables such as OMP_NUM_THREADS first.
"""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wrapt import register_post_import_hook

from harness.record.events import tell


@dataclass(kw_only=True)
class Trainings:
    """Counts the trainings of this process, and tells of them."""

    folder: str  # an absolute path, where the wanted training is recorded
    wanted: int  # its number, from 1
    events: str  # the file for `tell`
    seen: int = 0
    process: int = field(default_factory=os.getpid)

    def begins(self, what: str) -> Path | None:
        """Count a training; return where it is to be recorded, if it is the wanted one.

        A program that records itself is left alone, and so are processes that it forks.
        """
        if os.getpid() != self.process or self._own_recordings():
            return None
        self.seen += 1
        tell(self.events, training=what)
        if self.seen != self.wanted:
            return None
        print(f"recorder: training {self.seen} begins ({what})", file=sys.stderr)
        return Path(self.folder)

    def finish(self) -> None:
        """Write what is not written yet: the program has ended."""
        if os.getpid() != self.process:
            return
        for writer in _writers():
            if writer.steps:
                writer.write()
            else:
                writer.give_up()
        tell(self.events, recordings=[str(writer.folder) for writer in self._own_recordings()])

    def _own_recordings(self) -> list[Any]:
        """Return what the program records by lines of its own."""
        return [writer for writer in _writers() if writer.folder != Path(self.folder)]


def watch(settings: str) -> Trainings:
    """Watch each framework once the program imports it; `settings` are of `Trainings`, in JSON."""
    trainings = Trainings(**json.loads(settings))
    for name, watcher in {"keras": _watch_keras, "torch": _watch_torch, "jax": None}.items():
        register_post_import_hook(_when_imported(trainings, name, watcher), name)
    return trainings


def _when_imported(
    trainings: Trainings, name: str, watcher: Callable[[Trainings], object] | None
) -> Callable[[Any], None]:
    def imported(_module: Any) -> None:
        tell(trainings.events, imported=name)
        if watcher is not None:
            watcher(trainings)

    return imported


def _watch_keras(trainings: Trainings) -> None:
    from harness.recorder.keras_program import watch_fits

    watch_fits(trainings.begins)


def _watch_torch(trainings: Trainings) -> None:
    from harness.recorder.torch_program import TorchProgram

    TorchProgram(trainings.begins)


def _writers() -> list[Any]:
    module = sys.modules.get("harness.recorder.writer")
    return [] if module is None else list(module.written_here)
