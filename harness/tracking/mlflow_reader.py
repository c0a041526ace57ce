"""Read runs back from MLflow, for `harness.compare` and notebooks."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd  # pyright: ignore[reportMissingTypeStubs]

from harness.config.tracking_store import EXPERIMENT, experiment_in_environment
from harness.core.errors import ConfigError, nearest
from harness.core.file_names import PREDICTIONS

CURVES = ("train/loss", "val/loss")
PARENT = "mlflow.parentRunId"


@dataclass(kw_only=True)
class TrackedRun:
    """One run as it is in MLflow."""

    mlflow: Any = field(repr=False)
    run_id: str
    experiment_id: str
    name: str
    status: str
    start_time: int
    params: dict[str, str]
    metrics: dict[str, float]  # the last value of each
    tags: dict[str, str]
    is_linked: bool = False  # by a sweep that did not train it

    def final(self, name: str) -> float | None:
        """Return a metric at the weights that the run kept, or None.

        With early stopping these may be other weights than the last epoch's.
        """
        return self.metrics.get(f"final/{name}", self.metrics.get(name))

    @cached_property
    def curves(self) -> pd.DataFrame:
        """The loss curves: index epoch, a column for each of `CURVES` that the run has."""
        curves: dict[str, pd.Series] = {}
        for name in CURVES:
            history = self.mlflow.get_metric_history(self.run_id, name)
            if history:
                curves[name] = pd.Series({point.step: point.value for point in history})
        return pd.DataFrame(curves).sort_index()

    def predictions(self, folder: Path) -> pd.DataFrame | None:
        """Download the run's `predictions.csv` into `folder` and read it; None if it has none."""
        if PREDICTIONS not in {a.path for a in self.mlflow.list_artifacts(self.run_id)}:
            return None
        path = self.mlflow.download_artifacts(self.run_id, PREDICTIONS, str(folder))
        return pd.read_csv(path)


def latest_sweep(mlflow: Any, experiment: str | None = None) -> str | None:
    """Return the run id of the latest sweep's parent run, in an experiment or in any, or None."""
    sweeps = mlflow.search_runs(
        _experiment_ids(mlflow, experiment),
        "tags.kind = 'sweep'",
        order_by=["start_time DESC"],
        max_results=1,
    )
    return sweeps[0].info.run_id if sweeps else None


def find_runs(
    mlflow: Any, parent: str | None, experiment: str | None, condition: str | None
) -> list[TrackedRun]:
    """Return the runs, without sweeps' parents, that satisfy all conditions given, oldest first.

    `parent` is the run id of a sweep's parent; `condition` is in MLflow's search language, such as
    `params.precision = 'float64'`.
    """
    experiments = _experiment_ids(mlflow, experiment)
    conditions = ["tags.kind = 'run'"]
    conditions += [f"tags.`{PARENT}` = '{parent}'"] if parent else []
    conditions += [condition] if condition else []
    runs: list[TrackedRun] = []
    token: str | None = None
    while True:
        page = mlflow.search_runs(
            experiments, " and ".join(conditions), order_by=["start_time ASC"], page_token=token
        )
        runs += [_tracked(mlflow, run) for run in page]
        token = page.token
        if not token:
            return runs


def _experiment_ids(mlflow: Any, experiment: str | None) -> list[str]:
    """Return the id of the experiment of that name, or the ids of all; raise `ConfigError`."""
    if experiment is not None and (named := mlflow.get_experiment_by_name(experiment)):
        return [named.experiment_id]
    experiments = mlflow.search_experiments()
    if experiment is None:
        return [each.experiment_id for each in experiments]
    names = [each.name for each in experiments]
    key = f"{EXPERIMENT}=" if experiment == experiment_in_environment() else "--experiment "
    raise ConfigError(
        f"{key}{experiment}: must be one of {', '.join(names)}.{nearest(experiment, names)}"
    )


def _tracked(mlflow: Any, run: Any) -> TrackedRun:
    info, data = run.info, run.data
    return TrackedRun(
        mlflow=mlflow,
        run_id=info.run_id,
        experiment_id=info.experiment_id,
        name=info.run_name,
        status=info.status,
        start_time=info.start_time,
        params=data.params,
        metrics=data.metrics,
        tags=data.tags,
    )
