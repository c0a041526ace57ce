"""Write the journal of a run: each event is with the operating system before it counts.

A thread forces the lines to the disk every second (`journal_sync.py`), `sync` and `close` do so at
once.
"""

import json
import os
import time
import uuid
from pathlib import Path

from harness.core.file_names import JOURNAL
from harness.system.durable_files import sync_file, sync_parents
from harness.system.process_identity import this_process
from harness.tracking import journal_sync
from harness.tracking.journal import BEGINNINGS, FORMAT, Event

_encoded = json.JSONEncoder(ensure_ascii=False).encode  # `dumps` would make an encoder each time
APPENDING = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)


class Journal:
    """The journal of one directory.

    Its file is open only while a line is written: a sweep may have a thousand runs at once, and a
    process may have as few as 256 open files.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory, self._closed = directory.absolute(), False
        self._cut = False  # whether the last line may have been cut short
        self._placed = False  # whether the folder is known to be on the disk
        path = directory / JOURNAL
        if path.exists() and path.read_bytes()[-1:] not in (b"", b"\n"):
            _append(directory, "\n")  # a kill cut the last line short: begin a new one
        journal_sync.opened(self, _path(self._directory))

    def write(self, kind: str, **fields: object) -> Event:
        """Append one event and return it; raise `ValueError` if the journal is closed."""
        if self._closed:
            raise ValueError(f"the journal in {self._directory} is closed")
        event = _event(kind, fields)
        text = "\n" * self._cut + _line(event)
        self._cut = True  # until all of it is written, which a full disk may prevent
        _append(self._directory, text)
        self._cut = False
        return event

    def sync(self) -> None:
        """Force all lines to the disk, and the first time the folder, too."""
        path = _path(self._directory)
        journal_sync.synced(path)
        sync_file(path)
        if not self._placed:
            sync_parents(self._directory)
            self._placed = True

    def close(self) -> None:
        """Force all lines to the disk; no events can be written afterwards."""
        if not self._closed:
            self._closed = True
            journal_sync.closed(self)
            self.sync()


def append(directory: Path, kind: str, **fields: object) -> None:
    """Append one event to a journal that another process may be writing, too."""
    _append(directory, _line(_event(kind, fields)))


def _append(directory: Path, text: str) -> None:
    append_lines(directory, text.encode("utf-8", "backslashreplace"))


def append_lines(directory: Path, remaining: bytes) -> None:
    """Write whole lines to the end, in one piece if the operating system takes them so."""
    path = _path(directory)
    file = os.open(path, APPENDING, 0o666)  # a quarter of the time of `open`
    try:
        while remaining:
            remaining = remaining[os.write(file, remaining) :]
    finally:
        os.close(file)
    journal_sync.written(path)


def _path(directory: Path) -> str:
    return f"{directory}/{JOURNAL}"


def _event(kind: str, fields: dict[str, object]) -> Event:
    origin: Event = {}
    if kind in BEGINNINGS:
        origin = {"format": FORMAT, "id": uuid.uuid4().hex, "process": this_process()}
    return {"kind": kind, "time": time.time_ns() // 1_000_000, **origin, **fields}


def _line(event: Event) -> str:
    return _encoded(event) + "\n"
