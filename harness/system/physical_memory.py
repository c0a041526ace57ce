"""How much memory a process here can have: the machine's, or what its container is given of it.

`os.sysconf`, which would do without a library, knows nothing of it on Windows, and of containers
nowhere.
"""

from pathlib import Path

import psutil

CGROUPS = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")  # lines such as `0::/user.slice/run` or `4:memory:/docker/1f`


def physical_memory() -> int:
    """Bytes."""
    return min([psutil.virtual_memory().total, *limits(CGROUPS, OWN)])


def limits(cgroups: Path, own: Path) -> list[int]:
    """What each control group around this process grants it, in bytes; of either version. A group
    without a limit says `max`, or a number beyond any memory."""
    found: list[int] = []
    for line in own.read_text("utf-8").splitlines() if own.exists() else ():
        _, controllers, name = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        root, file = (
            (cgroups / "memory", "memory.limit_in_bytes")
            if controllers
            else (cgroups, "memory.max")
        )
        folder = root / name.lstrip("/")
        for place in (folder, *folder.parents):
            if place.is_relative_to(root):
                found += _limit(place / file)
    return found


def _limit(path: Path) -> list[int]:
    try:
        return [int(path.read_text("ascii"))]
    except (OSError, ValueError):  # the root has none; `max`
        return []
