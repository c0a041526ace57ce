"""File systems that only root can mount: a small one in memory, and an image of a disk."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def missing(*programs: str) -> str | None:
    """Return why file systems cannot be mounted here, or None."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "needs root on Linux"
    absent = [name for name in ("mount", "umount", *programs) if shutil.which(name) is None]
    return f"needs {', '.join(absent)}" if absent else None


def call(*words: str | Path) -> None:
    subprocess.run(words, check=True, capture_output=True)


@contextmanager
def mounted(place: Path, *words: str | Path) -> Iterator[Path]:
    """Mount at `place` what `words` say to `mount`, for the block."""
    place.mkdir(parents=True, exist_ok=True)
    call("mount", *words, place)
    try:
        yield place
    finally:
        call("umount", "--lazy", place)


@contextmanager
def memory(place: Path, limit: str) -> Iterator[Path]:
    """Mount a file system in memory with a limit such as `size=64k`."""
    with mounted(place, "-t", "tmpfs", "-o", limit, "tmpfs"):
        yield place


def enlarge(place: Path) -> None:
    """Make room in a file system in memory."""
    call("mount", "-o", "remount,size=256m,nr_inodes=100000", place)


def new_image(path: Path, megabytes: int) -> None:
    """Make the image of a disk with an empty file system."""
    with path.open("wb") as file:
        file.truncate(megabytes << 20)
    call("mkfs.ext4", "-q", "-F", path)
