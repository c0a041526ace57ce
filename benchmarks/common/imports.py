"""The slowest imports of a command, by `python -X importtime`."""

from pathlib import Path
from typing import Any

from benchmarks.common.programs import python

TOP = 15  # modules that are reported


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
