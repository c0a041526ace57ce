"""Write a run's trained network as one of MLflow's models, from files that the run has written.

MLflow's own `log_model` would execute the model's code to look at it. Here the code is copied: it
may come from somebody else's run.
"""

import importlib
import json
import platform
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from harness.core.errors import ConfigError
from harness.core.file_names import MODEL_CODE, MODEL_KERAS, MODEL_TORCH, MODEL_WEIGHTS
from harness.tracking.journal import Event, read

FORMAT = 1  # of `model.json`
CODE, WEIGHTS, EXAMPLE = "serve.py", "artifacts/model.npz", "input_example.json"
SERVING_EXAMPLE = "serving_input_example.json"
DATA = "data"  # a folder with the files of frameworks
ENVIRONMENT, REQUIREMENTS = "python_env.yaml", "requirements.txt"


def log_model(client: Any, directory: Path, run_id: str, path: str) -> None:
    """Write the model that the file `path` describes; what is there already is left as it is."""
    from mlflow.entities import LoggedModelOutput

    facts = json.loads((directory / path).read_bytes())
    if facts.get("format") != FORMAT:
        raise ConfigError(f"{directory / path}: format={facts.get('format')} is unknown here.")
    run = client.get_run(run_id)
    place = run.info.experiment_id
    known = client.search_logged_models([place], f"source_run_id = '{run_id}'")
    model = known[0] if known else client.create_logged_model(place, facts["name"], run_id)
    if str(model.status).rpartition(".")[2] != "READY":
        with tempfile.TemporaryDirectory() as folder:
            _write(Path(folder), directory, facts, model.model_id, run_id)
            client.log_model_artifacts(model.model_id, folder)
        client.finalize_logged_model(model.model_id, "READY")
    metrics, step = _metrics(directory, model.model_id, run_id)
    if metrics:
        client.log_batch(run_id, metrics=metrics)
    if model.model_id not in {each.model_id for each in run.outputs.model_outputs}:
        client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step)])


def _write(folder: Path, directory: Path, facts: dict[str, Any], model_id: str, run: str) -> None:
    """Write the folder of a model, as MLflow reads it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow warns of hints of types in its own classes
        pyfunc: Any = importlib.import_module("mlflow.pyfunc")
    from mlflow.models import Model, ModelSignature
    from mlflow.types import Schema, TensorSpec

    (folder / "artifacts").mkdir()
    shutil.copyfile(directory / MODEL_CODE, folder / CODE)
    shutil.copyfile(directory / MODEL_WEIGHTS, folder / WEIGHTS)
    for name in (EXAMPLE, SERVING_EXAMPLE):
        (folder / name).write_text(json.dumps({"inputs": facts["example"]}))
    (folder / REQUIREMENTS).write_text("\n".join(facts["requirements"]) + "\n")
    needs = {"python": platform.python_version(), "dependencies": [f"-r {REQUIREMENTS}"]}
    (folder / ENVIRONMENT).write_text(json.dumps(needs))  # JSON is YAML
    inputs, outputs = (
        Schema([TensorSpec(np.dtype(facts[name]["dtype"]), tuple(facts[name]["shape"]))])
        for name in ("inputs", "outputs")
    )
    example = {"artifact_path": EXAMPLE, "type": "ndarray", "format": "tf-serving"}
    model: Any = Model(
        run_id=run,
        model_id=model_id,
        signature=ModelSignature(inputs, outputs),
        saved_input_example_info=example | {"serving_input_path": SERVING_EXAMPLE},
    )
    weights = {"path": WEIGHTS, "uri": WEIGHTS}
    pyfunc.add_to_model(
        model,
        loader_module="mlflow.pyfunc.loaders.code_model",
        python_env=ENVIRONMENT,
        model_code_path=CODE,
        artifacts={"weights": weights},
        streamable=False,
    )
    _add_flavors(model, folder, directory, facts.get("flavors", {}))
    model.save(str(folder / "MLmodel"))


def _add_flavors(model: Any, folder: Path, directory: Path, versions: dict[str, str]) -> None:
    """Add the files that `mlflow.pytorch.load_model` and `mlflow.keras.load_model` read.

    `versions` are those of the frameworks that have a file.
    """
    if versions:
        (folder / DATA).mkdir()
    if "torch" in versions:
        shutil.copyfile(directory / MODEL_TORCH, folder / DATA / "model.pt2")
        model.add_flavor("pytorch", model_data=DATA, pytorch_version=versions["torch"])
    if "keras" in versions:
        shutil.copyfile(directory / MODEL_KERAS, folder / DATA / "model.keras")
        settings = {"keras_backend": "tensorflow", "save_exported_model": False}
        model.add_flavor("keras", data=DATA, keras_version=versions["keras"], **settings)


def _metrics(directory: Path, model_id: str, run_id: str) -> tuple[list[Any], int]:
    """Return the run's last metrics as those of its model and its data, and the last epoch.

    They are the same points as the run's own, which are there once. A run of several replicas has
    means, which are those of no model.
    """
    from mlflow.entities import Metric

    last: dict[str, tuple[float | list[float], Event]] = {}
    data: Event = {}
    step = 0
    for event in read(directory):
        if event["kind"] == "dataset":
            data = event
        elif event["kind"] == "metrics":
            last |= {name: (value, event) for name, value in event["values"].items()}
            step = max(step, event["step"])
    metrics: list[Any] = []
    for name, (values, event) in last.items():
        value, *others = values if isinstance(values, list) else [values]
        if not others and np.isfinite(value):
            point = Metric(
                key=name,
                value=value,
                timestamp=event["time"],
                step=event["step"],
                model_id=model_id,
                dataset_name=data.get("name"),
                dataset_digest=data.get("digest"),
                run_id=run_id,
            )
            metrics.append(point)
    return metrics, step
