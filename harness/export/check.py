"""Check an exported model against the NumPy reference on random inputs.

The model is used by the code that its reader is given, in a process that cannot import this
project.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from backends import Data, State, TrainingSpec
from backends.numpy_backend import NumpyBackend
from harness.config.semantics_table import preset
from harness.core.arrays import Array
from harness.core.losses import gives_logits
from harness.core.tolerances import LIMITS
from harness.formats.trained_network import Network

SHAPES = ((5, 12), (2, 3))  # sequences and steps: a model must take any number of both

# `None` in sys.modules makes an import fail.
PROGRAM = """
import sys
sys.modules["harness"] = sys.modules["backends"] = None
import numpy as np
results = {{}}
for name, x in np.load({inputs!r}).items():
    exec({usage!r})
    results[name] = y
np.savez({outputs!r}, **results)
"""


class Unfaithful(RuntimeError):
    """A model that does not compute what the run's network computes. The message is one line."""


def check(network: Network, folder: Path, usage: str) -> float:
    """Return the largest difference between the model in `folder` and the reference.

    It is a share of the largest output, measured from the outputs' mean. Raises `Unfaithful` if it
    is above the limit between two backends.
    """
    rng = np.random.default_rng(0)
    inputs = []
    for shape in SHAPES:
        drawn = rng.normal(size=(*shape, network.model.features))
        x = network.x_mean + network.x_std * drawn
        inputs.append(x.astype(network.outer_precision))
    differences = []
    for x, y in zip(inputs, run_model(folder, usage, inputs), strict=True):
        expected = reference(network, x)
        if y.shape != expected.shape:
            raise Unfaithful(f"the exported model gives {y.shape} where {expected.shape} is right")
        largest = np.abs(expected - network.y_mean).max() or 1.0
        differences.append(np.abs(y - expected).max() / largest)
    worst, limit = float(np.max(differences)), LIMITS[network.precision].forward
    if not worst <= limit:  # also if it is NaN
        raise Unfaithful(
            f"the exported model differs from the run's by {worst:.2g}, over {limit:g}"
        )
    return worst


def run_model(folder: Path, usage: str, inputs: list[Array]) -> list[Array]:
    """Return the outputs of the model in `folder` for each input, from a new process.

    Raises `Unfaithful` if the model cannot be loaded and used.
    """
    with tempfile.TemporaryDirectory() as place:
        input_file, output_file = Path(place, "inputs.npz"), Path(place, "outputs.npz")
        np.savez(input_file, *inputs)
        program = PROGRAM.format(inputs=str(input_file), outputs=str(output_file), usage=usage)
        command = [sys.executable, "-B", "-c", program]
        done = subprocess.run(
            command, cwd=folder, capture_output=True, encoding="utf-8", errors="replace"
        )
        if done.returncode:
            reason = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
            raise Unfaithful(f"the exported model cannot be loaded and used: {reason[0]}")
        with np.load(output_file) as file:
            return [file[f"arr_{n}"] for n in range(len(inputs))]


def reference(network: Network, x: Array) -> Array:
    """Return the NumPy backend's outputs for `x` `(N, T, F)`, in original units and float64."""
    model, no_data = network.model, np.zeros((1, 1, 1, 1))
    rules = preset("matched")  # any preset would do: the rules matter in training only
    training = TrainingSpec(
        loss=network.loss,
        optimizer="sgd",
        numbers={},
        semantics=rules,
        precision=network.precision,
    )
    state = State({name: value[None] for name, value in network.weights.items()})
    backend = NumpyBackend(model, training, Data(no_data, no_data), state)
    scaled = ((x - network.x_mean) / network.x_std).astype(network.precision)
    y = backend.predict(scaled[None])[0].astype(np.float64)
    if gives_logits(network.loss):
        return 0.5 * np.tanh(0.5 * y) + 0.5
    return y * network.y_std + network.y_mean
