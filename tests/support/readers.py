"""The processes that send journals to MLflow, found among those of the machine."""

import os
from contextlib import suppress

import psutil


def readers_of(pid: int | None = None) -> list[psutil.Process]:
    """Return the readers that a process has started, by default those of this one."""
    found: list[psutil.Process] = []
    with suppress(psutil.Error):  # the process has ended
        for child in psutil.Process(pid or os.getpid()).children(recursive=True):
            with suppress(psutil.Error):  # it ends just now
                found += [child] if "harness.tracking.mlflow_worker" in child.cmdline() else []
    return found
