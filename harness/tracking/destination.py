"""The place in which a run is to be tracked: MLflow's store, and a folder for its artifacts.

A run's journal names its destination. A database or a folder in the results is named relative to
the run's directory, so that the results may be moved as a whole. No password is written down:
`harness.config.tracking_store.with_secrets` finds it again in the environment.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from harness.config.tracking_store import SQLITE, database_of


@dataclass(frozen=True)
class Destination:
    """A store's URI, and the folder for artifacts of experiments that are made there.

    Both are absolute. A server keeps artifacts by itself.
    """

    uri: str
    artifacts: Path

    @property
    def database(self) -> Path | None:
        """The file of an SQLite database, or None for any other store."""
        is_file = self.uri.startswith(SQLITE)
        return Path(self.uri.removeprefix(SQLITE)) if is_file else None

    def seen_from(self, directory: Path) -> dict[str, str]:
        """Return the destination as the journal in `directory` has it."""
        uri, database, here = self.uri, database_of(self.uri), directory.resolve()
        if database is not None and here.is_relative_to(database.parent):
            uri = f"{SQLITE}{_relative(database, here)}"
        inside = here.is_relative_to(self.artifacts.parent)
        return {"uri": uri, "artifacts": _relative(self.artifacts, here, inside)}

    @classmethod
    def of(cls, recorded: dict[str, Any], directory: Path) -> Self:
        """Return the destination that the journal in `directory` has recorded."""
        uri, here = recorded["uri"], directory.resolve()
        if uri.startswith(SQLITE):
            uri = f"{SQLITE}{_absolute(uri.removeprefix(SQLITE), here)}"
        return cls(uri, _absolute(recorded["artifacts"], here))


def _relative(path: Path, here: Path, inside: bool = True) -> str:
    return Path(os.path.relpath(path, here)).as_posix() if inside else str(path)


def _absolute(path: str, here: Path) -> Path:
    return Path(os.path.normpath(here / path))
