"""All that a store of MLflow has, in a form that can be compared with another store's."""

import re
from pathlib import Path
from typing import Any

from harness.tracking.mlflow_store import client

LINK = re.compile(r"/experiments/\d+/runs/[0-9a-f]{32}|run_uuid=[0-9a-f]{32}")
BY_ID = ("mlflow.parentRunId", "mlflow.rootRunId")


def everything_in(uri: str) -> dict[str, Any]:
    """Each run by its journal: params, tags, histories, inputs, files with sizes, times, parent,
    models.

    MLflow's own ids differ from store to store, so they are replaced by names.
    """
    mlflow = client(uri)
    experiments = {e.experiment_id: e for e in mlflow.search_experiments()}
    runs = list(mlflow.search_runs([*experiments]))  # without those that were deleted
    names = {run.info.run_id: run.data.tags["journal.id"] for run in runs}
    assert len(set(names.values())) == len(runs), "a journal is there twice"
    return {
        names[run.info.run_id]: _contents(mlflow, run, names)
        | {"experiment": experiments[run.info.experiment_id].name}
        for run in runs
    }


def _contents(mlflow: Any, run: Any, names: dict[str, str]) -> dict[str, Any]:
    info, data = run.info, run.data
    tags = {k: LINK.sub("LINK", v) for k, v in data.tags.items() if k not in BY_ID}
    return {
        "name": info.run_name,
        "status": info.status,
        "times": (info.start_time, info.end_time),
        "params": data.params,
        "tags": tags,
        "parent": names.get(data.tags.get("mlflow.parentRunId", "")),
        "metrics": {
            name: sorted(
                (p.step, p.timestamp, repr(p.value))
                for p in mlflow.get_metric_history(info.run_id, name)
            )
            for name in data.metrics
        },
        "inputs": [
            (entry.dataset.name, entry.dataset.digest, entry.dataset.profile)
            for entry in run.inputs.dataset_inputs
        ],
        "files": sorted(_files(mlflow.list_artifacts, info.run_id, None)),
        "models": [
            _model(mlflow, model)
            for model in mlflow.search_logged_models(
                [info.experiment_id], f"source_run_id = '{info.run_id}'"
            )
        ],
    }


def _model(mlflow: Any, model: Any) -> dict[str, Any]:
    files = _files(mlflow.list_logged_model_artifacts, model.model_id, None)
    return {
        "name": model.name,
        "status": str(model.status),
        "metrics": sorted(
            (m.key, m.step, m.timestamp, repr(m.value), m.dataset_name, m.dataset_digest)
            for m in model.metrics
        ),
        # `MLmodel` has the time of its creation, whose length varies.
        "files": sorted((path, size) for path, size in files if path != "MLmodel"),
    }


def _files(entries: Any, of: str, path: str | None) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    for entry in entries(of, path):
        below = _files(entries, of, entry.path) if entry.is_dir else []
        found += below if entry.is_dir else [(entry.path, entry.file_size)]
    return found


def uri_in(folder: Path) -> str:
    """The URI of the database in the results in `folder`."""
    return f"sqlite:///{folder.resolve()}/results/mlflow.db"
