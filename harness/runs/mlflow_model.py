"""The trained network as MLflow serves it: Python code that needs no framework, and its weights.

The run writes all of it; MLflow's process only copies it (`harness.tracking.mlflow_models`), so the
code of a run that somebody else has recorded is executed by nobody but whoever serves it.
"""

import importlib.metadata
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from harness.config.tracking import FLAVORS
from harness.core.errors import ConfigError
from harness.core.file_names import (
    MODEL_CODE,
    MODEL_FACTS,
    MODEL_KERAS,
    MODEL_TORCH,
    MODEL_WEIGHTS,
)
from harness.core.model import Params
from harness.formats import to_keras, to_numpy, to_torch
from harness.formats.trained_network import Network
from harness.runs.network_file import network_of, one_replica
from harness.system.durable_files import Content
from harness.training.plan import Plan

FORMAT = 1  # of `model.json`, increased when a field changes its meaning
REPLICA = 0
USAGE = """\
import mlflow

y = mlflow.pyfunc.load_model("models:/MODEL_ID").predict(x)
"""
IMPORTS = """\
import numpy as np
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel
"""
SERVED = '''

class Served(PythonModel):
    """The network for MLflow, which reads models from code."""

    def load_context(self, context):
        self.weights = load(context.artifacts["weights"])

    def predict(self, context, model_input, params=None):
        return predict(self.weights, model_input)


set_model(Served())
'''


def check(plan: Plan) -> None:
    """Raise `ConfigError` if the run's network cannot have one of the flavors asked for."""
    if "torch" in plan.config.tracking.flavors and plan.splits.train.mask is not None:
        raise ConfigError(
            f"tracking.flavors=[torch]: task={plan.config.task.name} has sequences of several "
            "lengths, and an exported PyTorch program takes one; use "
            "`harness export RUN --to torch` after the run."
        )


def files(plan: Plan, params: Params, directory: Path) -> dict[str, Content]:
    """Return the files of the model, by their paths in the run's `directory`.

    `params` are the final weights `(R, …)`; the model is the first replica.
    """
    replicas = len(next(iter(params.values())))
    origin = f"Trained in {directory.name}, replica {REPLICA} of {replicas}."
    weights = {name: value[REPLICA] for name, value in params.items()}
    network = one_replica(network_of(plan), weights, REPLICA, origin)
    code = to_numpy.source(network, USAGE).replace("import numpy as np\n", IMPORTS, 1) + SERVED
    facts = _facts(network, plan)
    return {
        MODEL_CODE: code,
        MODEL_WEIGHTS: partial(_save, network=network),
        MODEL_FACTS: json.dumps(facts, indent=1) + "\n",
        **_flavors(network, plan),
    }


def _flavors(network: Network, plan: Plan) -> dict[str, Content]:
    """Return the files with which a framework's own loader reads the model."""
    files: dict[str, Content] = {}
    if "torch" in plan.config.tracking.flavors:
        steps = plan.splits.train.x.shape[2]
        files[MODEL_TORCH] = partial(to_torch.write_program, network, steps)
    if "keras" in plan.config.tracking.flavors:
        files[MODEL_KERAS] = partial(to_keras.write_model, network)
    return files


def _save(path: Path, network: Network) -> None:
    arrays: Any = to_numpy.named_arrays(network)
    with path.open("wb") as file:  # `savez` would add an ending to the name
        np.savez(file, allow_pickle=False, **arrays)


def _facts(network: Network, plan: Plan) -> dict[str, Any]:
    """Return the model's name, its inputs and outputs, an example, and what it needs."""
    config, model, train = plan.config, network.model, plan.splits.train
    x = train.x[REPLICA % len(train.x), :1]
    if train.mask is not None:
        x = x[:, train.mask[REPLICA % len(train.mask), 0]]
    x = (x * network.x_std + network.x_mean).astype(network.outer_precision)
    steps = [-1] if model.every_step else []
    flavors = config.tracking.flavors
    needs = ["mlflow", "numpy", *(package for flavor in flavors for package in FLAVORS[flavor])]
    # Without a local part such as +cpu, which no package index has.
    versions = {n: importlib.metadata.version(n).partition("+")[0] for n in needs}
    return {
        "format": FORMAT,
        "name": f"{config.task.name}-{config.backend.name}-{model.cell}",
        "inputs": {"dtype": network.outer_precision, "shape": [-1, -1, model.features]},
        "outputs": {"dtype": network.outer_precision, "shape": [-1, *steps, model.outputs]},
        "example": x.tolist(),
        "requirements": [f"{name}=={version}" for name, version in versions.items()],
        "flavors": {name: versions[name] for name in flavors},
    }
