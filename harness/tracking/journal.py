"""The journal: what happened in a run, one JSON object per line, written before anything else is.

Each line has `kind` and `time` (milliseconds since 1970); the other fields depend on the kind and
are listed in `harness/tracking/run_log.py`, which writes them. Lines are only ever appended and
each is handed to the operating system at once, so a killed process loses at most the line it was
writing.
"""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NAME = "journal.jsonl"
Event = dict[str, Any]
APPENDING = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)


class Journal:
    """The journal of one directory. Its file is open only while a line is written: a sweep may have
    a thousand runs at once, and a process 256 files."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory, self._closed = directory, False
        path = directory / NAME
        if path.exists() and path.read_bytes()[-1:] not in (b"", b"\n"):
            _append(directory, "\n")  # cut short by a kill: what comes now has a line of its own

    def write(self, kind: str, **fields: Any) -> Event:
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
            with open(self._directory / NAME, "ab") as file:
                os.fsync(file.fileno())


def append(directory: Path, kind: str, **fields: Any) -> None:
    """Append one event to a journal that somebody else may be writing, too."""
    _append(directory, _line(_event(kind, fields)))


def _append(directory: Path, text: str) -> None:
    """Hand it to the operating system, in one piece where it takes it so."""
    left = text.encode("utf-8", "backslashreplace")
    file = os.open(f"{directory}/{NAME}", APPENDING, 0o666)  # a quarter of what `open` takes
    try:
        while left:
            left = left[os.write(file, left) :]
    finally:
        os.close(file)


def _event(kind: str, fields: dict[str, Any]) -> Event:
    return {"kind": kind, "time": time.time_ns() // 1_000_000, **fields}


def _line(event: Event) -> str:
    return json.dumps(event, ensure_ascii=False) + "\n"


def read(directory: Path) -> Iterator[Event]:
    """The events of a directory's journal, oldest first; a line cut short by a kill is left out."""
    path = directory / NAME
    if not path.exists():
        return
    for line in path.read_bytes().split(b"\n"):
        try:
            yield json.loads(line)
        except (json.JSONDecodeError, UnicodeDecodeError):
            continue


def last(directory: Path, kind: str) -> Event | None:
    """The latest event of a kind, or None."""
    return next((e for e in reversed(list(read(directory))) if e["kind"] == kind), None)
