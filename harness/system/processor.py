"""The processor's model and the cores that this process may use."""

import os
import platform
from contextlib import suppress
from functools import cache
from pathlib import Path

_share: list[int] = []  # cores of this process, where it is one of several that share the machine


@cache
def processor() -> str:
    """Return the processor's model, or its kind where the system does not tell.

    The same program may round otherwise on another model, whose vector instructions are wider.
    """
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def usable_cores() -> int:
    """Return the number of cores, which a container may restrict."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def own_cores() -> int:
    """Return the cores that this process may keep busy: all usable ones, or its share of them."""
    return _share[0] if _share else usable_cores()


def share_cores(count: float) -> None:
    """Let this process, a worker of several, keep no more than `count` cores busy, but one."""
    _share[:] = [max(1, int(count))]
