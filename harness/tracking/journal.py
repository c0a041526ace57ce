"""The journal: what happened in a run, one JSON object per line, written before anything else is.

Each line has `kind` and `time` (milliseconds since 1970); the other fields depend on the kind and
are listed in `harness/tracking/run_log.py`, which writes them. The first ones of a journal have its
`format`, too. Lines are only ever appended and
each is handed to the operating system at once, so a killed process loses at most the line it was
writing.
"""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.core.errors import ConfigError
from harness.core.file_names import JOURNAL

Event = dict[str, Any]
FORMAT = 1  # counted up when a field changes its meaning
BEGINNINGS = ("start", "sweep")  # kinds of events that begin a journal, and state its format
APPENDING = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)


class Journal:
    """The journal of one directory. Its file is open only while a line is written: a sweep may have
    a thousand runs at once, and a process 256 files."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory, self._closed = directory, False
        path = directory / JOURNAL
        if path.exists() and path.read_bytes()[-1:] not in (b"", b"\n"):
            _append(directory, "\n")  # cut short by a kill: what comes now has a line of its own

    def write(self, kind: str, **fields: object) -> Event:
        """Append one event and return it."""
        if self._closed:
            raise ValueError(f"the journal in {self._directory} is closed")
        event = _event(kind, fields)
        _append(self._directory, _line(event))
        return event

    def close(self) -> None:
        """Force everything to the disk; nothing can be written afterwards."""
        if not self._closed:
            self._closed = True
            with open(self._directory / JOURNAL, "ab") as file:
                os.fsync(file.fileno())


def append(directory: Path, kind: str, **fields: object) -> None:
    """Append one event to a journal that somebody else may be writing, too."""
    _append(directory, _line(_event(kind, fields)))


def _append(directory: Path, text: str) -> None:
    """Hand it to the operating system, in one piece where it takes it so."""
    left = text.encode("utf-8", "backslashreplace")
    file = os.open(f"{directory}/{JOURNAL}", APPENDING, 0o666)  # a quarter of what `open` takes
    try:
        while left:
            left = left[os.write(file, left) :]
    finally:
        os.close(file)


def _event(kind: str, fields: dict[str, object]) -> Event:
    stated = {"format": FORMAT} if kind in BEGINNINGS else {}
    return {"kind": kind, "time": time.time_ns() // 1_000_000, **stated, **fields}


def _line(event: Event) -> str:
    return json.dumps(event, ensure_ascii=False) + "\n"


def read(directory: Path) -> Iterator[Event]:
    """Yield the events of a directory's journal, oldest first; a line cut short by a kill is left
    out. Raises `ConfigError` for a journal of another format; one that states none is of the first.
    """
    path = directory / JOURNAL
    if not path.exists():
        return
    for line in path.read_bytes().split(b"\n"):
        try:
            event = json.loads(line)
        except (json.JSONDecodeError, UnicodeDecodeError):
            continue
        if event.get("format", FORMAT) != FORMAT:
            stated = f"format={event['format']}: this version reads format {FORMAT}"
            raise ConfigError(f"{path}: {stated}; use a newer version of the harness.")
        yield event


def last(directory: Path, kind: str) -> Event | None:
    """The latest event of a kind, or None."""
    return next((e for e in reversed(list(read(directory))) if e["kind"] == kind), None)
