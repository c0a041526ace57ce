"""What `steps` has measured, read from one or several `benchmark.json`.

Times of two files are never compared with each other: they may be of different days.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.core.errors import ConfigError, Range, first_line

Row = dict[str, Any]

PRODUCTS = "products alone"  # no training, and so never the best one by hand
FIELDS = {
    **dict.fromkeys(("framework", "label", "name", "size", "cell", "error"), str),
    **dict.fromkeys(("units", "length", "batch", "replicas", "operations"), int),
    "ours": bool,
}
SPEEDS = ("matrix_gflops", "copy_gbytes", "bytes")  # which older files lack
SHOWN = {"command": str, "time": str, "processor": str, "cores": int, "versions": dict}


@dataclass(frozen=True)
class Measured:
    """The contents of one file, and those of its rows that have a time."""

    document: dict[str, Any]
    rows: list[Row]

    def fastest(self, fits: Callable[[Row], bool]) -> Row | None:
        """Return the fastest of the rows that fit."""
        return min(filter(fits, self.rows), key=time_of, default=None)


def time_of(row: Row) -> float:
    """Return the median time of a step per replica, in microseconds."""
    return row["us"]["median"]


def read(path: Path) -> Measured:
    """Return the contents of a `benchmark.json`. Raises `ConfigError`."""
    valid = "must be benchmark.json of: python -m benchmarks steps"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: cannot be read ({first_line(error)}); {valid}") from error
    if not isinstance(document, dict) or document.get("kind") != "steps":
        raise ConfigError(f"{path}: is no result of steps; {valid}")
    rows = document.get("rows")
    shown = all(isinstance(document.get(name), kind) for name, kind in SHOWN.items())
    if not shown or not isinstance(rows, list) or not all(map(_complete, rows)):
        raise ConfigError(f"{path}: lacks rows or a part of them; {valid}")
    return Measured(document, [row for row in rows if "us" in row])


def _complete(row: Any) -> bool:
    """Whether a row is one of a contestant, and has a time unless it failed."""
    if not isinstance(row, dict):
        return False
    if not all(isinstance(row.get(name), kind) for name, kind in FIELDS.items()):
        return False
    if not all(_positive(row[name]) for name in SPEEDS if name in row):
        return False
    if "us" not in row:
        return bool(row["error"])
    return isinstance(row["us"], dict) and _positive(row["us"].get("median"))


def _positive(value: Any) -> bool:
    return isinstance(value, int | float) and value in Range(1e-9, 1e18)
