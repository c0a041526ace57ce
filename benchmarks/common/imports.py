"""Which imports a command waits for: `python -X importtime`, sorted."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.common.processes import environment

TOP = 15  # of the slowest that are kept


def python(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """`python WORDS` in `folder`, untouched by what a sweep around it may have set."""
    kept = {k: v for k, v in environment().items() if not k.startswith(("HYDRA_", "HARNESS_"))}
    command = [sys.executable, *words]
    return subprocess.run(
        command, cwd=folder, env=kept, capture_output=True, encoding="utf-8", errors="replace"
    )


def slowest(words: list[str], folder: Path) -> list[dict[str, Any]]:
    """The modules that take longest by themselves, in microseconds."""
    return parsed(python(["-X", "importtime", *words], folder).stderr)[:TOP]


def parsed(printed: str) -> list[dict[str, Any]]:
    """Lines such as `import time:   120 |   4560 |   package.module`, slowest first."""
    found = []
    for line in printed.splitlines():
        own, _, rest = line.removeprefix("import time:").partition("|")
        total, _, module = rest.partition("|")
        if line.startswith("import time:") and own.strip().isdecimal():
            entry = {"module": module.strip(), "self_us": int(own), "cumulative_us": int(total)}
            found.append(entry)
    return sorted(found, key=lambda entry: entry["self_us"], reverse=True)
