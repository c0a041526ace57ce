"""The journal of a run: its events, one JSON object per line, each written before it is sent on.

Each line has `kind` and `time` (milliseconds since 1970); the other fields depend on the kind and
are listed in `harness/tracking/run_log.py`, which writes them. Events that begin a journal also
have its `format`, an `id` of its own, and the `process` that writes it. Lines are only appended,
and each is written to the operating system at once (`journal_writer.py`), so a killed process loses
at most the line that it was writing.
"""

import json
import os
from collections.abc import Container, Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

from harness.core.errors import ConfigError
from harness.core.file_names import JOURNAL
from harness.tracking.event_fields import is_valid

Event = dict[str, Any]
FORMAT = 2  # counted up when a field changes its meaning
READABLE = (1, 2)  # in the first, paths were absolute, and MLflow's address was an event
BATCH = 1 << 20  # bytes of a journal that are read at a time
BEGINNINGS = ("start", "sweep")  # kinds of events that begin a journal, and state its format


def read(directory: Path) -> Iterator[Event]:
    """Yield the events of a directory's journal, oldest first.

    A line that a kill has cut short, or that was damaged since, is left out. Raises `ConfigError`
    for a journal of another format; one that states no format is of the first.
    """
    path = directory / JOURNAL
    if path.exists():
        lines = path.read_bytes().split(b"\n")
        yield from (event for line in lines if (event := _parsed(line, path)) is not None)


def read_on(directory: Path, start: int, size: int = BATCH) -> list[tuple[Event | None, int]]:
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
