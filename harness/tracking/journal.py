"""The journal of a run: its events, one JSON object per line, each written before it is sent on.

Each line has `kind` and `time` (milliseconds since 1970); the other fields depend on the kind and
are listed in `harness/tracking/run_log.py`, which writes them. Events that begin a journal also
have its `format`, an `id` of its own, and the `process` that writes it. Lines are only appended,
and each is written to the operating system at once, so a killed process loses at most the line that
it was writing. A thread forces them to the disk every second (`journal_sync.py`), `sync` and
`close` do so at once.
"""

import json
import os
import time
import uuid
from collections.abc import Container, Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

from harness.core.errors import ConfigError
from harness.core.file_names import JOURNAL
from harness.system.durable_files import sync_file, sync_parents
from harness.system.process_identity import this_process
from harness.tracking import journal_sync
from harness.tracking.event_fields import is_valid

Event = dict[str, Any]
FORMAT = 2  # counted up when a field changes its meaning
READABLE = (1, 2)  # in the first, paths were absolute, and MLflow's address was an event
BEGINNINGS = ("start", "sweep")  # kinds of events that begin a journal, and state its format
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
    return json.dumps(event, ensure_ascii=False) + "\n"


def read(directory: Path) -> Iterator[Event]:
    """Yield the events of a directory's journal, oldest first.

    A line that a kill has cut short, or that was damaged since, is left out. Raises `ConfigError`
    for a journal of another format; one that states no format is of the first.
    """
    path = directory / JOURNAL
    if path.exists():
        lines = path.read_bytes().split(b"\n")
        yield from (event for line in lines if (event := _parsed(line, path)) is not None)


def read_on(directory: Path, start: int, size: int = 1 << 20) -> list[tuple[Event | None, int]]:
    """Return the events after byte `start` of a journal that may still grow.

    Each has the number of the byte after it. A line that is not finished is left for later, and a
    damaged one is None. At most about `size` bytes are read. Raises `ConfigError` as `read` does.
    """
    path = directory / JOURNAL
    with path.open("rb") as file:
        file.seek(start)
        text = file.read(size)
        text += b"" if text.endswith(b"\n") else file.readline()
    *lines, _ = text.split(b"\n")
    _, *ends = accumulate((len(line) + 1 for line in lines), initial=start)
    return [(_parsed(line, path), end) for line, end in zip(lines, ends, strict=True)]


def between(directory: Path, start: int, stop: int) -> Iterator[tuple[Event | None, int]]:
    """Yield the events of `read_on` that end at byte `stop` or before."""
    while start < stop and (events := read_on(directory, start)):
        for event, start in events:
            if start > stop:
                return
            yield event, start


def end_of(directory: Path) -> Event | None:
    """Return the journal's event `end` if it is its last line, or None; read no more than that."""
    event = latest(directory)
    return event if event is not None and event["kind"] == "end" else None


def latest(directory: Path) -> Event | None:
    """Return the event in the journal's last line, or None where that is not whole."""
    path = directory / JOURNAL
    if not path.exists():
        return None
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - (1 << 16)))
        *_, line = [b"", *file.read().splitlines()]
    return _parsed(line, path)


def _parsed(line: bytes, path: Path) -> Event | None:
    """Return the event of a line, or None if the line is damaged."""
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not is_valid(event):
        return None
    found = event.get("format", FORMAT)
    if found not in READABLE:
        mismatch = f"format={found}: this version reads format {FORMAT}"
        raise ConfigError(f"{path}: {mismatch}; use a newer version of the harness.")
    return event


def first(directory: Path, kinds: Container[str]) -> Event | None:
    """Return the first event of one of the kinds, or None; read no further than that."""
    path = directory / JOURNAL
    if not path.exists():
        return None
    with path.open("rb") as file:
        events = (_parsed(line, path) for line in file if line.endswith(b"\n"))
        return next((event for event in events if event and event["kind"] in kinds), None)


def last(directory: Path, kind: str) -> Event | None:
    """Return the latest event of a kind, or None."""
    return next((e for e in reversed(list(read(directory))) if e["kind"] == kind), None)
