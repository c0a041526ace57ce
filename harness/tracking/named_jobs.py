"""The jobs that a sweep's journal names, as each begins its own record."""

from collections.abc import Iterator
from pathlib import Path

from harness.core.file_names import JOURNAL
from harness.tracking.journal import between, first
from harness.tracking.launched_jobs import attempt_of


class NamedJobs:
    """The jobs of the sweep in `directory`, each of which is returned once."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._read = 0  # bytes of the journal in which jobs were looked for
        self._waiting: list[Path] = []  # jobs that have not begun their record

    def begun(self) -> Iterator[Path]:
        """Yield the folders of the jobs whose record has begun since the last look."""
        size = (self.directory / JOURNAL).stat().st_size
        for event, end in between(self.directory, self._read, size):
            self._read = end
            if event is not None and event["kind"] == "job":
                self._waiting.append(attempt_of(self.directory, event).folder)
        for folder in list(self._waiting):
            begin = first(folder, ("start", "end"))
            if begin is not None:
                self._waiting.remove(folder)
            if begin is not None and begin["kind"] == "start":
                yield folder
