"""Send the files that a journal names to MLflow, apart from its numbers.

A store of files may fail while that of numbers works. A file that fails is tried again the next
time, and does not hold back the others.
"""

import logging
from pathlib import Path

from harness.core.file_names import JOURNAL
from harness.tracking.journal import Event, between
from harness.tracking.mlflow_errors import explained
from harness.tracking.mlflow_writer import MlflowWriter

log = logging.getLogger(__name__)

KINDS = ("file", "table", "model", "end")  # of events that send a file: an end, the journal
FAILURES = 3  # files that may fail before the others wait for the next time


class FileUploads:
    """The uploads of the run in `directory`.

    After `send`, `problem` says why MLflow lacks files; it is empty if it has all. `count` is the
    number of files sent so far.
    """

    def __init__(self, directory: Path) -> None:
        self.directory, self.problem, self.count = directory, "", 0
        self._sent: set[int] = set()  # where the events end whose files are there

    def send(self, writer: MlflowWriter, start: int, limit: int) -> int:
        """Send the files of the events between two places in the journal, in bytes.

        Returns up to where MLflow has all files.
        """
        self.problem, arrived, failures = "", start, 0
        for event, end in between(self.directory, start, limit):
            if event is not None and event["kind"] in KINDS and end not in self._sent:
                if self._upload(writer, event):
                    self._sent.add(end)
                else:
                    failures += 1
            if failures == FAILURES:
                break
            if not failures:
                arrived = end
        return arrived

    def _upload(self, writer: MlflowWriter, event: Event) -> bool:
        """Send one file; return whether nothing more can be done for it."""
        path = event.get("path", JOURNAL)
        if not self._is_ours(path):
            log.warning("%s: %s is missing, so MLflow does not get it", self.directory, path)
            return True
        try:
            {"table": writer.table, "model": writer.model}.get(event["kind"], writer.file)(path)
        except Exception as error:  # whatever a store of files does, numbers go on
            self.problem = f"{path}: {explained(error)}"
            return False
        self.count += 1
        return True

    def _is_ours(self, path: str) -> bool:
        """Return whether a file is there, inside the run's directory."""
        file = (self.directory / path).resolve()
        return file.is_file() and file.is_relative_to(self.directory.resolve())
