"""The processor's cores that this process may use."""

import os


def usable_cores() -> int:
    """Return their number, which a container may restrict."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
