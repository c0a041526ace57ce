"""Part 1: the tests that need a GPU, without the project's own settings of pytest.

There a warning is an error, and a machine with other versions has other warnings.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.common.processes import ROOT, environment
from benchmarks.common.report import Sheet

TESTS = "tests/backends/test_gpu.py"
OUTCOME = re.compile(r"^(\S+::\S.*?) (PASSED|FAILED|ERROR|SKIPPED)", re.M)
REASON = re.compile(r"^SKIPPED \[\d+\] \S+: (.+)$", re.M)


def run_tests(folder: Path, device: str, seconds: float) -> dict[str, Any]:
    """Run the tests, for so many seconds at most; return the outcome of each that ended.

    What pytest prints is in `tests.log`.
    """
    words = ["-m", "pytest", TESTS, "-v", "-rs", "-c", os.devnull, "--rootdir", str(ROOT)]
    log = folder / "tests.log"
    with log.open("w", encoding="utf-8") as out:
        try:
            command = [sys.executable, *words, "-p", "no:cacheprovider"]
            streams: Any = {"stdout": out, "stderr": subprocess.STDOUT}
            env = environment(device)
            done = subprocess.run(command, cwd=ROOT, env=env, timeout=max(1.0, seconds), **streams)
            code: int | None = done.returncode
        except subprocess.TimeoutExpired:
            code = None
    printed = log.read_text(encoding="utf-8", errors="replace")
    outcomes = dict(OUTCOME.findall(printed))
    return {"code": code, "outcomes": outcomes, "skipped": sorted(set(REASON.findall(printed)))}


def failed(found: dict[str, Any]) -> list[str]:
    """Return what failed: tests, or pytest itself."""
    tests = [t for t, outcome in found["outcomes"].items() if outcome in ("FAILED", "ERROR")]
    if found["code"] not in (None, 0) and not tests:
        tests.append(f"pytest ended with code {found['code']}, see tests.log")
    return tests


def sheet(found: dict[str, Any]) -> Sheet:
    """Return how many tests had each outcome."""
    outcomes = list(found["outcomes"].values())
    rows = [[name.lower(), str(outcomes.count(name))] for name in dict.fromkeys(outcomes)]
    return Sheet("tests on the GPU", ["outcome", "tests"], words=1, rows=rows)


def notes(found: dict[str, Any]) -> list[str]:
    """Return what failed, why tests were skipped, and whether time ran out."""
    late = ["the time was over before the last test: see tests.log"]
    lines = late if found["code"] is None else []
    lines += [f"failed: {test}" for test in failed(found)]
    return lines + [f"skipped: {reason}" for reason in found["skipped"]]
