"""Time several processes that send runs to one store at once."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.common.processes import environment


def seconds_to_send(directories: list[Path], uri: str, senders: int) -> float:
    """Return the seconds until all of the runs are in the store, without the senders' imports.

    Raises `RuntimeError` where one is not.
    """
    processes = [_start(directories[place::senders], uri) for place in range(senders)]
    for process in processes:
        if process.stdout.readline() != "ready\n":
            raise RuntimeError(f"a sender of runs to {uri} does not begin")
    began = time.perf_counter()
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.close()
    problems = [process.stdout.read().strip() for process in processes]
    codes = [process.wait() for process in processes]
    seconds = time.perf_counter() - began
    if any(codes):
        raise RuntimeError(" ".join(filter(None, problems)) or f"exit codes {codes}")
    return seconds


def _start(directories: list[Path], uri: str) -> Any:
    process: Any = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.store.sender", uri],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
    )
    process.stdin.write(json.dumps([str(path) for path in directories]) + "\n")
    process.stdin.flush()
    return process
