"""Find what ended processes left behind: temporary files of runs, and locks of nothing.

Only a temporary file in a run's own folder is removed, by its exact form of a name: anything else
may be somebody's.
"""

import os
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from harness.core.file_names import CHECKPOINTS, JOURNAL, PARENT_LOCK, PLOTS, SENT_LOCK, WEIGHTS
from harness.doctor.finding import Finding
from harness.system.durable_files import PARTIAL

AGE = 600.0  # seconds after which a temporary file belongs to nobody
LOCKS = {PARENT_LOCK: JOURNAL, SENT_LOCK: JOURNAL, "mlflow.db.lock": "mlflow.db"}
INSIDE = (CHECKPOINTS, PLOTS, WEIGHTS)  # folders of a run
LOOK = "look at it, and remove it if it is not yours"


def leftovers(top: Path) -> Iterator[Finding]:
    """Yield temporary files and orphan locks below a folder."""
    for folder, folders, files in os.walk(top):
        for name in files:
            path = Path(folder, name)
            if PARTIAL.fullmatch(name) and _is_of_a_run(path.parent) and _is_old(path):
                yield Finding(
                    path=path,
                    problem="is left over from a process that was killed",
                    remedy="--fix removes it",
                    fix=partial(_remove, path),
                )
            elif name in LOCKS and LOCKS[name] not in files:
                problem = f"locks nothing: there is no {LOCKS[name]}"
                yield Finding(path=path, problem=problem, remedy=LOOK)
        for name in folders:
            path = Path(folder, name)
            if name.startswith(".mlflow-") and _is_old(path):
                problem = "is left over from the making of a database"
                yield Finding(path=path, problem=problem, remedy=LOOK)


def _is_of_a_run(folder: Path) -> bool:
    run = folder.parent if folder.name in INSIDE else folder
    return (run / JOURNAL).is_file()


def _is_old(path: Path) -> bool:
    return time.time() - path.stat().st_mtime > AGE


def _remove(path: Path) -> str:
    path.unlink(missing_ok=True)
    return "removed"
