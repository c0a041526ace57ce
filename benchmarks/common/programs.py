"""Run a Python program to its end."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.common.processes import environment


def python(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run `python WORDS` in `folder`, without the variables of a sweep that may run around it.

    Modules are compiled once, as a user's are: without their files a command would take longer.
    """
    left_out = ("HYDRA_", "HARNESS_", "PYTHONDONTWRITEBYTECODE")
    variables = {k: v for k, v in environment().items() if not k.startswith(left_out)}
    command = [sys.executable, *words]
    return subprocess.run(
        command, cwd=folder, env=variables, capture_output=True, encoding="utf-8", errors="replace"
    )


def seconds_of(words: list[str]) -> float:
    """Return the seconds of a command in a new folder. Raises `RuntimeError` where it fails."""
    with tempfile.TemporaryDirectory() as scratch:
        began = time.perf_counter()
        done = python(words, Path(scratch))
        seconds = time.perf_counter() - began
    if done.returncode:
        last_line = done.stderr.strip().splitlines()[-1:] or ["it printed nothing"]
        raise RuntimeError(f"exit code {done.returncode}: {last_line[0]}")
    return seconds
