"""Find journals of which MLflow may lack a part, without asking MLflow."""

from collections.abc import Iterator
from pathlib import Path

from harness.core.errors import ConfigError
from harness.core.file_names import JOURNAL
from harness.tracking import sent
from harness.tracking.dead_runs import is_abandoned

PATTERNS = ("runs/*", "multirun/*/*", "multirun/*")  # where runs and sweeps are, in the results


def unsent(results: Path) -> Iterator[Path]:
    """Yield runs, then sweeps, of programs in `results` that are gone before all was in MLflow."""
    for pattern in PATTERNS:
        for path in sorted(results.glob(f"{pattern}/{JOURNAL}")):
            if _is_unsent(path.parent):
                yield path.parent


def _is_unsent(directory: Path) -> bool:
    try:
        if sent.is_complete(directory) or sent.destination(directory) is None:
            return False
        return is_abandoned(directory)
    except (OSError, ConfigError, KeyError, TypeError):  # a damaged journal; `doctor` tells
        return False
