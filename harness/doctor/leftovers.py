"""Find what ended processes left behind: temporary files, and locks of nothing."""

import os
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from harness.core.file_names import JOURNAL, PARENT_LOCK, SENT_LOCK
from harness.doctor.finding import Finding

AGE = 600.0  # seconds after which a temporary file belongs to nobody
LOCKS = {PARENT_LOCK: JOURNAL, SENT_LOCK: JOURNAL, "mlflow.db.lock": "mlflow.db"}


def leftovers(top: Path) -> Iterator[Finding]:
    """Yield temporary files and orphan locks below a folder."""
    for folder, folders, files in os.walk(top):
        for name in files:
            path = Path(folder, name)
            if name.endswith(".partial") and time.time() - path.stat().st_mtime > AGE:
                yield _removable(path, "is left over from a process that was killed")
            elif name in LOCKS and LOCKS[name] not in files:
                yield _removable(path, f"locks nothing: there is no {LOCKS[name]}")
        for name in folders:
            path = Path(folder, name)
            if name.startswith(".mlflow-") and time.time() - path.stat().st_mtime > AGE:
                remedy = "remove it: a database that was not finished"
                yield Finding(
                    path=path, problem="is left over from a killed process", remedy=remedy
                )


def _removable(path: Path, problem: str) -> Finding:
    return Finding(
        path=path, problem=problem, remedy="--fix removes it", fix=partial(_remove, path)
    )


def _remove(path: Path) -> str:
    path.unlink(missing_ok=True)
    return "removed"
