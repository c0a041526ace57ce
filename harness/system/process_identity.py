"""The identity of a process, by which another process can tell later whether it still runs.

A number alone does not do: systems use it again. The moment at which a process has started, counted
from the machine's own start, makes it unique.
"""

import os
import platform
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import psutil

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")  # Linux: new with each start of the machine
PID_NAMESPACE = Path("/proc/self/ns/pid")  # Linux: a container has its own numbers


def this_process() -> dict[str, Any]:
    """Return the identity of the present process, for JSON."""
    return {**_machine(), "pid": os.getpid(), "started": _started(os.getpid())}


def is_running(identity: dict[str, Any]) -> bool | None:
    """Return whether the process still runs, or None if only another machine can know."""
    if _names(identity) != _names(_machine()):
        return None
    if identity["boot"] != _machine()["boot"]:
        return False
    return _started(identity["pid"]) == identity["started"]


def _names(identity: dict[str, Any]) -> tuple[str, str]:
    return identity["host"], identity["container"]


@cache
def _machine() -> dict[str, str]:
    boot, container = str(int(psutil.boot_time())), ""
    with suppress(OSError):
        boot = BOOT_ID.read_text().strip()
        container = os.readlink(PID_NAMESPACE)
    return {"host": platform.node(), "container": container, "boot": boot}


def _started(pid: int) -> float | None:
    """Return when a process started; None if it has ended, also if nobody has asked how it ended.

    On Linux these are clock ticks since the machine's start, which no correction of the clock
    changes; elsewhere seconds since 1970.
    """
    with suppress(OSError):
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if state == "Z" else float(fields[18])
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    return None
