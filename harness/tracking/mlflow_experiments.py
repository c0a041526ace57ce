"""MLflow's experiments.

They are created by name, never "set", because MLflow's fluent `set_experiment` lets a parallel
first run fall into "Default".
"""

import hashlib
import re
from pathlib import Path
from typing import Any

from harness.tracking import mlflow_view
from harness.tracking.mlflow_store import NOTE, deleted


def experiment_id(mlflow: Any, name: str, artifacts: Path, note: str = "") -> str:
    """Return the id of the experiment `name`, which is created if it is not there.

    Several processes may do so at once. `artifacts` is the folder for those of a database; a server
    has its own. Raises `ConfigError` for a deleted experiment.
    """
    from mlflow.exceptions import MlflowException

    experiment = mlflow.get_experiment_by_name(name)
    if experiment is None:
        is_server = mlflow.tracking_uri.startswith(("http", "databricks"))
        place = None if is_server else (artifacts / _folder(name)).resolve().as_uri()
        tags = mlflow_view.tag() | {
            NOTE: note,
            "mlflow.experimentKind": "custom_model_development",
        }
        try:
            return mlflow.create_experiment(name, artifact_location=place, tags=tags)
        except MlflowException as error:
            experiment = mlflow.get_experiment_by_name(name)
            if experiment is None:
                raise error
    if experiment.lifecycle_stage == "deleted":
        raise deleted(name, experiment.experiment_id)
    return experiment.experiment_id


def _folder(name: str) -> str:
    """Return the name of the folder of an experiment's artifacts.

    A file system takes 255 bytes, MLflow 500 characters.
    """
    folder = re.sub(r"[^\w.-]+|^\.+", "_", name)
    if len(folder.encode()) <= 200:
        return folder
    return f"{folder[:40]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
