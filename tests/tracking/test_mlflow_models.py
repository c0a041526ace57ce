"""The trained network as one of MLflow's models, served by MLflow's own server."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness.config.parsing import from_hydra
from harness.config.saved_config import load_config
from harness.core.arrays import Array
from harness.core.file_names import MODEL_CODE, MODEL_FACTS, PREDICTIONS, SENT
from harness.sync.__main__ import main as sync
from harness.training.plan import prepare
from tests.support import program
from tests.support.program import PATIENCE, uses_mlflow
from tests.support.store_contents import uri_in

pytestmark = uses_mlflow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run whose network is one of MLflow's models."""
    folder = program.with_database(tmp_path_factory.mktemp("model"))
    done = program.run(
        folder, "task=sum", "task.samples=40", "trainer.epochs=3", "tracking.model=true"
    )
    assert done.code == 0, done.err
    return folder


def models(folder: Path) -> list[Any]:
    [run] = program.tracked(folder)
    return list(program.mlflow(folder).search_logged_models([run.info.experiment_id]))


def test_the_model_has_a_signature_an_example_and_the_runs_metrics(folder: Path) -> None:
    [run], [model] = program.tracked(folder), models(folder)
    assert str(model.status).endswith("READY")
    assert model.source_run_id == run.info.run_id
    assert [each.model_id for each in run.outputs.model_outputs] == [model.model_id]
    [data] = run.inputs.dataset_inputs
    found = {metric.key: metric for metric in model.metrics}
    assert {"train/loss", "val/loss", "test/loss"} <= found.keys()
    for name, metric in found.items():
        assert metric.value == run.data.metrics[name]
        assert metric.dataset_digest == data.dataset.digest
    history = program.history(folder, run.info.run_id, "val/loss")
    assert [step for step, _ in history] == [1, 2, 3], "no point is there twice"
    files = Path(model.artifact_location.removeprefix("file://"))
    text = (files / "MLmodel").read_text()
    assert "signature" in text
    assert "input_example.json" in text
    assert not [path for path in files.rglob("*") if path.suffix in (".pkl", ".pickle")]
    assert "numpy==" in (files / "requirements.txt").read_text()


def test_the_server_gives_the_runs_predictions(folder: Path) -> None:
    directory, [model] = program.directory(folder), models(folder)
    splits = prepare(from_hydra(load_config(directory))).splits
    x = splits.parts["test"].x[0] * splits.scale.x_std[0] + splits.scale.x_mean[0]
    table = pd.read_csv(directory / PREDICTIONS)
    expected = table.loc[table["split"] == "test", "predicted"].to_numpy()
    with _served(folder, model.model_id) as url:
        found = _predicted(url, x)
        example = json.loads((directory / MODEL_FACTS).read_bytes())["example"]
        assert _predicted(url, np.array(example)).shape == (1, 1)
    np.testing.assert_allclose(found.ravel(), expected, rtol=1e-5)


@contextmanager
def _served(folder: Path, model: str) -> Iterator[str]:
    """The URL of MLflow's server of a model; no process of it survives."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", f"models:/{model}"]
    command += ["--env-manager", "local", "-h", "127.0.0.1", "-p", str(port)]
    # MLflow runs a command of its environment by name.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    named = {"MLFLOW_TRACKING_URI": uri_in(folder), "PATH": path}
    with (folder / "serve.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,  # which has none of this project's modules
            env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | named,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            limit = time.monotonic() + PATIENCE
            while not _answers(f"http://127.0.0.1:{port}/ping"):
                assert process.poll() is None, (folder / "serve.log").read_text()
                assert time.monotonic() < limit, "the server does not answer"
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}/invocations"
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            return answer.status == 200
    except OSError:
        return False


def _predicted(url: str, x: Array) -> Array:
    body = json.dumps({"inputs": x.tolist()}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        return np.array(json.loads(answer.read())["predictions"])


def test_sync_makes_it_anew_and_never_runs_its_code(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "results", tmp_path / "results")
    [code] = tmp_path.glob(f"results/runs/*/{MODEL_CODE}")
    code.write_text("raise SystemExit('executed')\n")
    for path in tmp_path.rglob(SENT):
        path.unlink()
    (tmp_path / "results/mlflow.db").write_bytes(program.empty_database())
    for _ in range(2):  # the second time, it is there already
        assert sync(["--results", str(tmp_path / "results")]) == 0
        [model], [run] = models(tmp_path), program.tracked(tmp_path)
        assert str(model.status).endswith("READY")
        assert len(run.outputs.model_outputs) == 1
        for path in tmp_path.rglob(SENT):
            path.unlink()
    assert {m.key for m in model.metrics} == {m.key for m in models(folder)[0].metrics}


LOADED = """
import sys
import mlflow, numpy, torch
model, x = "models:/" + sys.argv[1], numpy.load("x.npy")
in_torch = mlflow.pytorch.load_model(model)(torch.as_tensor(x)).detach().numpy()
in_keras = mlflow.keras.load_model(model).predict_on_batch(x)
served = mlflow.pyfunc.load_model(model).predict(x)
numpy.savez("y.npz", torch=in_torch, keras=in_keras, numpy=served)
"""


def test_frameworks_load_it_where_this_project_is_not(tmp_path: Path) -> None:
    program.with_database(tmp_path)
    options = ["tracking.model=true", "tracking.flavors=[torch,keras]", "model=lstm"]
    small = ["model.units=5", "model.layers=2", "task.samples=400", "trainer.epochs=1"]
    done = program.run(tmp_path, "task=next_value", "precision=float64", *small, *options)
    assert done.code == 0, done.err
    [model], directory = models(tmp_path), program.directory(tmp_path)
    splits = prepare(from_hydra(load_config(directory))).splits
    x = splits.parts["test"].x[0] * splits.scale.x_std[0] + splits.scale.x_mean[0]
    np.save(tmp_path / "x.npy", x)
    table = pd.read_csv(directory / PREDICTIONS)
    expected = table.loc[table["split"] == "test", "predicted"].to_numpy()
    _run_without_the_project(tmp_path, LOADED, model.model_id)
    for found in np.load(tmp_path / "y.npz").values():
        np.testing.assert_allclose(found.ravel(), expected, rtol=1e-12, atol=1e-12)


def _run_without_the_project(folder: Path, text: str, *arguments: str) -> None:
    """Run Python code in `folder`; `None` in sys.modules makes an import fail."""
    alone = "import sys\nsys.modules['harness'] = sys.modules['backends'] = None\n"
    settings = {"MLFLOW_TRACKING_URI": uri_in(folder)}
    settings["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
    done = subprocess.run(
        [sys.executable, "-c", alone + text, *arguments],
        cwd=folder,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | settings,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["tracking.flavors=[torch]"], "tracking.flavors=[torch]: needs tracking.model=true."),
        (
            ["tracking.model=true", "tracking.flavors=[tensorflow]"],
            "tracking.flavors=tensorflow: must be one of torch, keras.",
        ),
        (
            ["tracking.model=true", "tracking.flavors=[torch]", "task.lengths=3:10"],
            "tracking.flavors=[torch]: task=sum has sequences of several lengths",
        ),
    ],
)
def test_impossible_flavors_are_refused_in_a_line(
    tmp_path: Path, overrides: list[str], said: str
) -> None:
    done = program.run(tmp_path, "task=sum", "task.samples=40", "trainer.epochs=1", *overrides)
    assert done.code == 2
    assert said in done.err
    assert len(done.err.splitlines()) == 1
    assert not list(tmp_path.glob("results/runs/*"))
