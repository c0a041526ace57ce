"""The slowest imports of a command, by `python -X importtime`."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.common.processes import environment

TOP = 15  # modules that are reported


def python(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run `python WORDS` in `folder`, without the variables of a sweep that may run around it."""
    variables = {k: v for k, v in environment().items() if not k.startswith(("HYDRA_", "HARNESS_"))}
    command = [sys.executable, *words]
    return subprocess.run(
        command, cwd=folder, env=variables, capture_output=True, encoding="utf-8", errors="replace"
    )


def slowest(words: list[str], folder: Path) -> list[dict[str, Any]]:
    """Return the modules that take longest by themselves, in microseconds."""
    return parsed(python(["-X", "importtime", *words], folder).stderr)[:TOP]


def parsed(printed: str) -> list[dict[str, Any]]:
    """Parse lines such as `import time:   120 |   4560 |   package.module`, slowest first."""
    entries = []
    for line in printed.splitlines():
        self_us, _, rest = line.removeprefix("import time:").partition("|")
        total, _, module = rest.partition("|")
        if line.startswith("import time:") and self_us.strip().isdecimal():
            entry = {"module": module.strip(), "self_us": int(self_us), "cumulative_us": int(total)}
            entries.append(entry)
    return sorted(entries, key=lambda entry: entry["self_us"], reverse=True)
