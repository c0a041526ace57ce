"""What a watched program tells the command, in a file that outlives its process."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Events:
    """All that was told until the program ended, however it ended."""

    trainings: list[str] = field(default_factory=list[str])  # in words, in the order of beginning
    imported: list[str] = field(default_factory=list[str])  # frameworks
    recordings: list[str] = field(default_factory=list[str])  # by lines of the program's own
    refusals: list[str] = field(default_factory=list[str])  # why it cannot be recorded


def tell(path: str, **facts: str | list[str]) -> None:
    """Add a line of JSON to the file."""
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(facts) + "\n")


def read_events(path: Path) -> Events:
    """Read the file; a line that a killed process left unfinished is left out."""
    events = Events()
    lists: dict[str, list[Any]] = {
        "training": events.trainings,
        "imported": events.imported,
        "recordings": events.recordings,
        "refused": events.refusals,
    }
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        if line.endswith("\n"):
            for name, value in json.loads(line).items():
                lists[name] += value if isinstance(value, list) else [value]
    return events
