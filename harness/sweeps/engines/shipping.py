"""Files of a sweep on a machine that does not share the program's file system.

A worker there keeps them under the same paths as the program. What the sweep has so far is sent
with each unit, as far as the unit's jobs need it; a thread sends back what they write, while they
write it. A journal is sent line by line, and only after the files that it names.
"""

import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock

from harness.core.file_names import JOURNAL, PARENT_LOCK, SENT, SENT_LOCK
from harness.sweeps.units import WorkUnit
from harness.system.durable_files import PARTIAL, write_file
from harness.tracking.journal import between, end_of
from harness.tracking.journal_writer import append_lines
from harness.tracking.launched_jobs import attempt_of, attempts

COPIED = ".copied"  # an empty file in a sweep's folder that is a copy
SECONDS = 1.0  # between two looks for what is new
ALIVE_SECONDS = 30.0  # after which a journal without new lines is touched
OWN = (SENT, SENT_LOCK)  # of the machine that writes to MLflow


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A file, lines that are added to a journal, or the end of a file that was sent."""

    path: Path
    content: bytes | None  # None: it was removed
    adds: bool = False

    def write(self) -> None:
        """Write it on this machine."""
        if self.content is None:
            self.path.unlink(missing_ok=True)
        elif not self.adds:
            write_file(self.path, self.content)
        elif self.content:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            append_lines(self.path.parent, self.content)
        else:
            os.utime(self.path)  # its writer lives


@dataclass(frozen=True, kw_only=True)
class Shipment:
    """What a unit needs of its sweep's files: the journal, and folders in which jobs have begun."""

    folder: str  # the program's working directory
    journal: bytes
    pieces: list[Piece]
    taken: list[Path]  # folders beside those of its jobs, which a second try must not have


def shipment(unit: WorkUnit) -> Shipment:
    """Pack what a unit needs."""
    sweep = Path(unit.sweep.directory)
    numbers = {job.number for job in unit.jobs}
    begun = [attempt.folder for attempt in attempts(sweep) if attempt.number in numbers]
    files = [path for folder in begun for path in _files(folder)]
    return Shipment(
        folder=str(Path.cwd()),
        journal=(sweep / JOURNAL).read_bytes(),
        pieces=[Piece(path=path, content=path.read_bytes()) for path in files],
        taken=[path for job in unit.jobs for path in _numbered(job.directory)],
    )


def _numbered(folder: Path) -> list[Path]:
    """Return what exists of `folder` and of folder-2, folder-3, …, see `first_free`."""
    name = re.compile(rf"{re.escape(folder.name)}(-\d+)?")
    absolute = folder.absolute()
    found = absolute.parent.iterdir() if absolute.parent.is_dir() else ()
    return [path for path in found if name.fullmatch(path.name)]


def has_files(unit: WorkUnit, shipped: Shipment) -> bool:
    """Return whether this machine has the sweep's own folder, and not another one or a copy."""
    sweep = Path(unit.sweep.directory)
    first = shipped.journal.partition(b"\n")[0]
    with suppress(OSError), (sweep / JOURNAL).open("rb") as file:
        return file.readline().rstrip(b"\n") == first and not (sweep / COPIED).exists()
    return False


def unpack(unit: WorkUnit, shipped: Shipment) -> None:
    """Write what was shipped, as far as this machine does not have it from an earlier unit.

    Raises `OSError`.
    """
    sweep = Path(unit.sweep.directory)
    sweep.mkdir(parents=True, exist_ok=True)
    with FileLock(sweep / PARENT_LOCK):
        if not (sweep / COPIED).exists() and (sweep / JOURNAL).exists():
            raise FileExistsError(f"{sweep}: this folder holds another sweep on this machine")
        (sweep / COPIED).touch()
        journal = sweep / JOURNAL
        known = set(journal.read_bytes().splitlines(keepends=True)) if journal.exists() else set()
        new = [line for line in shipped.journal.splitlines(keepends=True) if line not in known]
        append_lines(sweep, b"".join(new))
    for piece in shipped.pieces:
        if not piece.path.exists():
            piece.write()
    if shipped.pieces:  # a second try
        for folder in shipped.taken:
            folder.mkdir(parents=True, exist_ok=True)


@contextmanager
def sending(unit: WorkUnit, send: Callable[[Piece], object]) -> Iterator[None]:
    """Send what the unit's jobs write while the block runs, and the rest at its end."""
    outbox = _Outbox(unit=unit, send=send)
    done = threading.Event()

    def work() -> None:
        while not done.wait(SECONDS):
            outbox.look()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        outbox.look()


@dataclass(kw_only=True)
class _Outbox:
    """What was sent of the jobs of a unit."""

    unit: WorkUnit
    send: Callable[[Piece], object]
    _folders: list[Path] = field(default_factory=list[Path])  # of jobs that have begun here
    _files: dict[Path, tuple[int, int]] = field(default_factory=dict[Path, tuple[int, int]])
    _lengths: dict[Path, int] = field(default_factory=dict[Path, int])  # of journals, in bytes
    _spoke: dict[Path, float] = field(default_factory=dict[Path, float])  # when a journal was sent

    def __post_init__(self) -> None:
        journal = Path(self.unit.sweep.directory, JOURNAL)
        self._lengths[journal] = journal.stat().st_size

    def look(self) -> None:
        """Send what is new."""
        self._look_for_jobs()
        for folder in self._folders:
            journal = folder / JOURNAL
            length = journal.stat().st_size  # the files that it names by now are there
            self._send_files(folder)
            self._send_lines(journal, length)

    def _look_for_jobs(self) -> None:
        """Send the lines of the sweep's journal on jobs of this unit."""
        sweep = Path(self.unit.sweep.directory)
        journal, numbers = sweep / JOURNAL, {job.number for job in self.unit.jobs}
        start, length = self._lengths[journal], journal.stat().st_size
        for event, end in between(sweep, start, length):
            if event is not None and event.get("number") in numbers:
                self.send(Piece(path=journal, content=_part(journal, start, end), adds=True))
                if event["kind"] == "job":
                    self._folders.append(attempt_of(sweep, event).folder)
            self._lengths[journal] = start = end

    def _send_files(self, folder: Path) -> None:
        there = [path for path in _files(folder) if path.name != JOURNAL]
        for path in self._files.keys() - there:
            if path.is_relative_to(folder):  # an old checkpoint
                self.send(Piece(path=path, content=None))
                del self._files[path]
        for path in there:
            with suppress(FileNotFoundError):  # it was removed just now
                about = path.stat()
                state = about.st_size, about.st_mtime_ns
                if self._files.get(path) != state:
                    self.send(Piece(path=path, content=path.read_bytes()))
                    self._files[path] = state

    def _send_lines(self, journal: Path, length: int) -> None:
        start, now = self._lengths.get(journal, 0), time.monotonic()
        is_quiet = now - self._spoke.get(journal, now) >= ALIVE_SECONDS
        if length > start or (is_quiet and end_of(journal.parent) is None):
            self.send(Piece(path=journal, content=_part(journal, start, length), adds=True))
            self._lengths[journal] = length
            self._spoke[journal] = now


def _part(path: Path, start: int, end: int) -> bytes:
    with path.open("rb") as file:
        file.seek(start)
        return file.read(end - start)


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files of a run, but for what this machine alone knows and what is being written."""
    for place, _, names in os.walk(folder):
        for name in names:
            if name not in OWN and not PARTIAL.fullmatch(name):
                yield Path(place, name)
