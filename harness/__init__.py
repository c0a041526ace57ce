"""Train the same recurrent network in several frameworks under stated numeric rules.

The functions for notebooks and scripts are imported from here; see `harness.notebook`.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.notebook import Run, check_agreement, compare_runs, find_runs, load_run, run

__all__ = ["Run", "check_agreement", "compare_runs", "find_runs", "load_run", "run"]


def __getattr__(name: str) -> Any:
    """Import `harness.notebook` once one of its names is asked for: the commands do without it."""
    if name in __all__:
        return getattr(importlib.import_module("harness.notebook"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
