"""Follow one journal: send to a store of MLflow what the journal has beyond what is there.

How far it came is kept beside the journal after each batch that MLflow has accepted, see `sent`. So
it may end at any moment, and whoever follows the journal next goes on from there.
"""

import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from filelock import FileLock

from harness.config.tracking_store import database_of
from harness.core.file_names import JOURNAL, SENT_LOCK
from harness.tracking import mlflow_runs, mlflow_store, sent, sqlite_database
from harness.tracking.destination import Destination
from harness.tracking.file_uploads import FileUploads
from harness.tracking.job_outcomes import description
from harness.tracking.journal import BATCH, Event, end_of, first, read_on
from harness.tracking.mlflow_experiments import experiment_id
from harness.tracking.mlflow_store import NOTE
from harness.tracking.mlflow_writer import BYTES, MlflowWriter
from harness.tracking.sent import Sent

PARENT = "mlflow.parentRunId"


class Follower:
    """The follower of the journal in `directory`.

    `is_new` says that no other process has sent the journal before. After `advance`, `sent` is what
    MLflow has, `problem` why it lacks files, or an empty text, and `has_more` whether the portion
    ended before the journal did.
    """

    def __init__(self, directory: Path, place: Destination, is_new: bool = False) -> None:
        self.directory, self.place = directory, place
        self.sent, self.problem, self.has_more = Sent(), "", False
        self._key = place.seen_from(directory)["uri"]
        self.holds_end = False  # whether the end is to be sent later, with what follows it
        self._known = self._certain = is_new
        self.written = Counter[str]()  # runs, sweeps, numbers and files that were sent
        self._uploads = FileUploads(directory)
        self._run: Any = None  # as MLflow has described it

    def advance(self, portion: int = sys.maxsize) -> Sent:
        """Send what the journal has by now, about `portion` bytes at most; return what MLflow has.

        A journal may grow faster than a store takes it: what is added meanwhile is for the next
        time. Raises whatever a store raises that does not take it, and `ConfigError` for what the
        user can put right.
        """
        with FileLock(self.directory / SENT_LOCK):
            self.sent, self.problem = sent.load(self.directory, self._key), ""
            client = mlflow_store.client(self.place.uri)
            if not self._known:
                self._check(client)
            self._known = False  # until it has succeeded: the store may have been replaced
            size = self._size()
            stop = min(size, self.sent.numbers + portion)
            while events := self._events(self.sent.numbers, stop):
                self._send(client, events)
            if self.sent.run_id:
                self._files(self._writer(client), self.sent.numbers)
            self.has_more = stop <= self.sent.numbers < size
            arrived = self.sent.numbers == self.sent.files == self._size()
            self._keep(complete=arrived and end_of(self.directory) is not None)
            self._known = True
        return self.sent

    def _size(self) -> int:
        return (self.directory / JOURNAL).stat().st_size

    def _events(self, start: int, stop: int) -> list[tuple[Event | None, int]]:
        """Return the next events, up to the end of the run at most, or without it."""
        events = read_on(self.directory, start, min(stop - start, BATCH)) if start < stop else []
        kinds = [event["kind"] if event else None for event, _ in events]
        if "end" not in kinds:
            return events
        return events[: kinds.index("end") + (not self.holds_end)]

    def _send(self, client: Any, events: list[tuple[Event | None, int]]) -> None:
        """Send numbers, and at the end of the run also its files and its status."""
        batch, offset = [event for event, _ in events if event is not None], events[-1][1]
        self._begin(client)
        if self.sent.run_id:
            writer, ends = self._writer(client), bool(batch) and batch[-1]["kind"] == "end"
            note = self._note() if ends else ""
            self.written["numbers"] += writer.numbers(batch, offset, note)
            if any(event["kind"] == "resumed" for event in batch):
                client.update_run(self.sent.run_id, status="RUNNING")
            if ends:
                self._files(writer, offset)
                writer.end(batch[-1])
        self._keep(numbers=offset)

    def _writer(self, client: Any) -> MlflowWriter:
        if self._run is None or self._run.info.run_id != self.sent.run_id:
            self._run = client.get_run(self.sent.run_id)
        files = mlflow_store.file_store(client, self._run)
        return MlflowWriter(client, self.directory, self.sent.run_id, files)

    def _begin(self, client: Any) -> None:
        """Find the run of this journal, or create it, unless it is known.

        A sweep that was stopped early has numbers and an end before its start.
        """
        start = None if self.sent.run_id else first(self.directory, ("start",))
        if start is None:
            return
        place = self.place.artifacts
        number = experiment_id(client, start["experiment"], place, start["note"])
        run_id = None
        if not self._certain or self.sent.attempts:
            run_id = mlflow_runs.find(client, start, number) or self._named(client)
        if run_id is None:
            parent, tags = start.get("parent"), dict[str, str]()
            if parent is not None:
                above = Follower(self.directory / parent, self.place, self._certain)
                tags[PARENT] = above.created()
                self.written += above.written
            self._keep(attempts=self.sent.attempts + 1)
            self._run = mlflow_runs.create(client, start, number, tags)
            run_id = self._run.info.run_id
            self.written["sweeps" if start["tags"].get("kind") == "sweep" else "runs"] += 1
        self._keep(run_id=run_id, experiment_id=number)

    def _named(self, client: Any) -> str | None:
        """Return the run that a journal of format 1 names itself, if it is in this store."""
        event = first(self.directory, ("mlflow",))
        if event is None or event["uri"] != self.place.uri:
            return None
        return event["run_id"] if mlflow_runs.exists(client, event["run_id"]) else None

    def start_anew(self) -> None:
        """Forget what was sent, except under which id, so that `advance` sends all of it again."""
        with FileLock(self.directory / SENT_LOCK):
            self.sent = sent.load(self.directory, self._key)
            self._keep(numbers=0, files=0, complete=False)

    def created(self) -> str:
        """Return the id of the run, which is created if it is not there yet."""
        with FileLock(self.directory / SENT_LOCK):
            self.sent = sent.load(self.directory, self._key)
            database = database_of(self.place.uri)
            if self._certain and database and sqlite_database.has_run(database, self.sent.run_id):
                return self.sent.run_id
            client = mlflow_store.client(self.place.uri)
            self._check(client)
            self._begin(client)
            return self.sent.run_id

    def _check(self, client: Any) -> None:
        """Compare what was sent with what the store has: it may be another one by now."""
        if not self.sent.run_id:
            return
        run = mlflow_runs.exists(client, self.sent.run_id)
        if run is None:
            self.sent = Sent()
            self._certain = False
            return
        there = int(run.data.tags.get(BYTES, 0))
        end = end_of(self.directory)
        if end is not None and self.sent.complete and run.info.status != end["status"]:
            there = 0
        if there < self.sent.numbers:
            self.sent = replace(self.sent, numbers=there, complete=False)

    def _files(self, writer: MlflowWriter, limit: int) -> None:
        before = self._uploads.count
        self.sent = replace(self.sent, files=self._uploads.send(writer, self.sent.files, limit))
        self.written += Counter(files=self._uploads.count - before)
        self.problem = self._uploads.problem

    def _note(self) -> str:
        """Return the run's description without how it ended: that of a sweep lists its jobs."""
        start = first(self.directory, ("start",)) or {}
        tags = start.get("tags", {})
        is_sweep = tags.get("kind") == "sweep"
        return description(self.directory, self.place) if is_sweep else tags.get(NOTE, "")

    def _keep(self, **changes: Any) -> None:
        self.sent = replace(self.sent, **changes)
        sent.save(self.directory, self._key, self.sent)
