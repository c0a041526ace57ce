"""How much of a journal has arrived in MLflow: `mlflow.json`, beside the journal.

It has an entry for each store. Numbers and files are counted apart, in bytes of the journal, since
a store of files that fails must not hold back numbers. A lost file costs time only: MLflow knows
each run by its journal's id, and what is sent twice is there once.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.core.errors import ConfigError
from harness.core.file_names import SENT
from harness.tracking.destination import Destination
from harness.tracking.journal import first

FORMAT = 1


@dataclass(kw_only=True)
class Sent:
    """What one store has of a journal."""

    run_id: str = ""
    experiment_id: str = ""
    numbers: int = 0  # bytes of the journal whose events are there, except files
    files: int = 0  # bytes of the journal whose files are there
    attempts: int = 0  # to create the run
    complete: bool = False


def load(directory: Path, key: str) -> Sent:
    """Return what the store `key` has; nothing if the file is missing or damaged."""
    try:
        return Sent(**_entries(directory)[key])
    except (KeyError, TypeError):
        return Sent()


def save(directory: Path, key: str, sent: Sent) -> None:
    """Write what the store `key` has. To be called under the directory's lock."""
    entries = _entries(directory) | {key: asdict(sent)}
    partial = directory / f".{SENT}.partial"  # no fsync: MLflow tells again what it has
    partial.write_text(json.dumps({"format": FORMAT, "stores": entries}, indent=1) + "\n")
    os.replace(partial, directory / SENT)


def destination(directory: Path) -> Destination | None:
    """Return where the run in `directory` is to be tracked; None if nowhere."""
    start = first(directory, ("start",))
    recorded = None if start is None else start.get("store")
    return None if recorded is None else Destination.of(recorded, directory)


def address(directory: Path, place: Destination | None = None) -> dict[str, str] | None:
    """Return `run_id`, `experiment_id` and `uri` of a run in MLflow, or None if it is not there.

    `place` is by default the run's own destination.
    """
    place = place or destination(directory)
    if place is None:
        return None
    sent = load(directory, place.seen_from(directory)["uri"])
    if not sent.run_id:
        return None
    return {"run_id": sent.run_id, "experiment_id": sent.experiment_id, "uri": place.uri}


def is_complete(directory: Path) -> bool:
    """Return whether a store had all of the journal when it was last sent."""
    return any(entry.get("complete") for entry in _entries(directory).values())


def _entries(directory: Path) -> dict[str, Any]:
    path = directory / SENT
    try:
        content = json.loads(path.read_bytes())
        found, entries = content["format"], dict(content["stores"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    if found != FORMAT:
        mismatch = f"format={found}: this version reads format {FORMAT}"
        raise ConfigError(f"{path}: {mismatch}; use a newer version of the harness.")
    return entries
