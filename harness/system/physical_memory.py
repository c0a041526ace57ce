"""The memory that a process can have: the machine's, or its container's share of it.

`os.sysconf`, which needs no library, does not know the memory on Windows, nor a container's limit
on any system.
"""

from pathlib import Path

import psutil

CGROUPS = Path("/sys/fs/cgroup")
# Lines such as `0::/user.slice/run` (version 2) or `4:memory:/docker/1f` (version 1).
MEMBERSHIP = Path("/proc/self/cgroup")


def physical_memory() -> int:
    """Return the memory that this process can have, in bytes."""
    return min([psutil.virtual_memory().total, *cgroup_limits(CGROUPS, MEMBERSHIP)])


def cgroup_limits(cgroups: Path, membership: Path) -> list[int]:
    """Return the limits of the control groups around this process, of version 1 or 2, in bytes.

    `membership` is the file that names the groups. A group without a limit has `max`, which is left
    out, or a number beyond any memory.
    """
    bytes_allowed: list[int] = []
    for line in membership.read_text("utf-8").splitlines() if membership.exists() else ():
        _, controllers, name = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        root, file = (
            (cgroups / "memory", "memory.limit_in_bytes")
            if controllers
            else (cgroups, "memory.max")
        )
        folder = root / name.lstrip("/")
        for group in (folder, *folder.parents):
            if group.is_relative_to(root):
                bytes_allowed += _limit(group / file)
    return bytes_allowed


def _limit(path: Path) -> list[int]:
    try:
        return [int(path.read_text("ascii"))]
    except (OSError, ValueError):  # the root group has no such file; `max` is no number
        return []
