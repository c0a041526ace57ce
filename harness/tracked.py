"""Runs read back from MLflow: what `compare` and other readers work on."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from harness.errors import ConfigError, nearest

CURVES = ("train/loss", "val/loss")
PARENT = "mlflow.parentRunId"


@dataclass
class TrackedRun:
    """One run as MLflow has it."""

    mlflow: Any = field(repr=False)
    run_id: str
    name: str
    status: str
    start_time: int
    params: dict[str, str]
    metrics: dict[str, float]  # the last value of each
    tags: dict[str, str]

    def final(self, name: str) -> float | None:
        """A metric at the weights that the run kept: early stopping may have restored others than
        the last epoch's."""
        return self.metrics.get(f"final/{name}", self.metrics.get(name))

    @cached_property
    def curves(self) -> pd.DataFrame:
        """The loss curves: index epoch, a column for each of `CURVES` that the run has."""
        found = {}
        for name in CURVES:
            history = self.mlflow.get_metric_history(self.run_id, name)
            if history:
                found[name] = pd.Series({point.step: point.value for point in history})
        return pd.DataFrame(found).sort_index()

    def predictions(self, folder: Path) -> pd.DataFrame | None:
        """The run's `predictions.csv`, fetched into `folder`; None if it has none."""
        if "predictions.csv" not in {a.path for a in self.mlflow.list_artifacts(self.run_id)}:
            return None
        path = self.mlflow.download_artifacts(self.run_id, "predictions.csv", str(folder))
        return pd.read_csv(path)


def latest_sweep(mlflow: Any) -> str | None:
    """The id of the sweep's parent run that was started last."""
    found = mlflow.search_runs(
        _every_experiment(mlflow),
        "tags.kind = 'sweep'",
        order_by=["start_time DESC"],
        max_results=1,
    )
    return found[0].info.run_id if found else None


def find_runs(
    mlflow: Any, parent: str | None, experiment: str | None, condition: str | None
) -> list[TrackedRun]:
    """The runs (no parents) that satisfy all that is given, oldest first.

    `condition` is in MLflow's search language, such as `params.precision = 'float64'`.
    """
    places = _every_experiment(mlflow)
    if experiment is not None:
        place = mlflow.get_experiment_by_name(experiment)
        if place is None:
            names = [e.name for e in mlflow.search_experiments()]
            raise ConfigError(
                f"--experiment {experiment}: must be one of {', '.join(names)}."
                + nearest(experiment, names)
            )
        places = [place.experiment_id]
    conditions = ["tags.kind = 'run'"]
    conditions += [f"tags.`{PARENT}` = '{parent}'"] if parent else []
    conditions += [condition] if condition else []
    found, token = [], None
    while True:
        page = mlflow.search_runs(
            places, " and ".join(conditions), order_by=["start_time ASC"], page_token=token
        )
        found += [_tracked(mlflow, run) for run in page]
        token = page.token
        if not token:
            return found


def _every_experiment(mlflow: Any) -> list[str]:
    return [e.experiment_id for e in mlflow.search_experiments()]


def _tracked(mlflow: Any, run: Any) -> TrackedRun:
    info, data = run.info, run.data
    return TrackedRun(
        mlflow,
        info.run_id,
        info.run_name,
        info.status,
        info.start_time,
        data.params,
        data.metrics,
        data.tags,
    )
