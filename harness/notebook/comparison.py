"""Runs side by side, and the agreement of backends, as Python objects."""

import pandas as pd

from harness.core.errors import ConfigError
from harness.notebook.runs import Run
from harness.parity.lockstep import Parity, check
from harness.parity.problem import configs, load_classes, problem_of
from harness.reporting.gap import gap


def compare_runs(*runs: Run) -> pd.DataFrame:
    """Return a table with a row per run.

    Its columns are the settings in which the runs differ, their final metrics (means over replicas)
    and `gap`, the largest relative difference between a run's loss curves and the first run's.
    """
    if not runs:
        raise ConfigError("compare_runs: needs runs, such as those of find_runs().")
    keys = dict.fromkeys(key for run in runs for key in run.settings)
    differing = [k for k in keys if len({repr(run.settings.get(k)) for run in runs}) > 1]
    rows = []
    for run in runs:
        row = {"name": run.name} | {key: run.settings.get(key) for key in differing}
        row |= {name: float(value.mean()) for name, value in run.values.items()}
        rows.append(row | {"gap": gap(_losses(runs[0]), _losses(run))})
    return pd.DataFrame(rows)


def _losses(run: Run) -> pd.DataFrame:
    return run.curves.filter(regex="/loss$")


def check_agreement(backends: list[str], *overrides: str, steps: int = 50) -> Parity:
    """Train the backends in lockstep, as `harness parity` does, and compare all that they compute.

    The result has `agrees`, and `first`, the place of the first difference beyond rounding, or
    None. Nothing is written. Raises `ConfigError` for what cannot be compared.
    """
    composed = configs(backends, list(overrides))
    return check(problem_of(composed[0], steps), load_classes(backends, composed))
