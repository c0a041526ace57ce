"""Check the files of a recorded run by the checksums in its journal.

A flipped bit in a weight, or zeros where a disk has lost a block, are numbers like any others: no
other check can see them.
"""

from collections.abc import Container
from pathlib import Path

from harness.config.damaged_files import RESTORE
from harness.core.errors import ConfigError
from harness.core.file_names import CONFIG, JOURNAL
from harness.system.checksum import checksum
from harness.tracking.journal import Event, read

KINDS = ("file", "checkpoint")  # of events that have checksums
REMEDIES = {CONFIG: f"{RESTORE}; to change a value, type KEY=VALUE"}


def recorded_files(folder: Path, kinds: Container[object] = KINDS) -> dict[str, Event]:
    """Return the last event of each file in a run's journal, by the file's path in `folder`."""
    events = [event for event in read(folder) if event.get("kind") in kinds]
    return {event["path"]: event for event in events if isinstance(event.get("path"), str)}


def check_file(folder: Path, path: str, remedy: str | None = None) -> None:
    """Raise `ConfigError` if a file of the run in `folder` is not as its journal says.

    A file without a checksum passes, as in runs of older versions, and so does a missing one.
    `remedy` says what the user can do about it.
    """
    check_event(folder, path, recorded_files(folder).get(path, {}), remedy)


def check_event(folder: Path, path: str, event: Event, remedy: str | None = None) -> None:
    """Check a file as `check_file` does, by the event that recorded it."""
    if "sha256" not in event or not (folder / path).exists():
        return
    found = checksum(folder / path)
    if found.get("sha256") == event["sha256"]:
        return
    reason = f"its SHA-256 is not that in {JOURNAL}"
    if found.get("bytes") != event.get("bytes"):
        reason = f"it has {found.get('bytes')} bytes, {event.get('bytes')} were written"
    remedy = remedy or REMEDIES.get(path, RESTORE)
    raise ConfigError(f"{folder / path}: is damaged ({reason}); {remedy}.")
