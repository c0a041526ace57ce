"""Is what was written the run's network? It is used as its reader is told to, in a process of its
own that cannot import this project, and compared with the NumPy reference on random inputs."""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from backends import Data, State, TrainingSpec
from backends.numpy_backend import NumpyBackend
from harness.config.semantics_table import preset
from harness.core.losses import gives_logits
from harness.core.tolerances import LIMITS
from harness.export.network import Array, Network

SHAPES = ((5, 12), (2, 3))  # sequences and steps: any number of both must do

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
    """What was written does not compute what the run computed. The message is one line."""


def check(network: Network, folder: Path, usage: str) -> float:
    """The largest difference between the model in `folder` and the reference, as a share of the
    largest output, counted from the outputs' mean; `Unfaithful` where it is above the limit
    between two backends."""
    rng = np.random.default_rng(0)
    inputs = []
    for shape in SHAPES:
        drawn = rng.normal(size=(*shape, network.model.features))
        x = network.x_mean + network.x_std * drawn
        inputs.append(x.astype(network.outer_precision))
    differences = []
    for x, y in zip(inputs, use(folder, usage, inputs), strict=True):
        wanted = reference(network, x)
        if y.shape != wanted.shape:
            raise Unfaithful(f"the exported model gives {y.shape} where {wanted.shape} is right")
        largest = np.abs(wanted - network.y_mean).max() or 1.0
        differences.append(np.abs(y - wanted).max() / largest)
    worst, limit = float(np.max(differences)), LIMITS[network.precision].forward
    if not worst <= limit:  # NaN is no agreement either
        raise Unfaithful(
            f"the exported model differs from the run's by {worst:.2g}, over {limit:g}"
        )
    return worst


def use(folder: Path, usage: str, inputs: list[Array]) -> list[Array]:
    """What the model in `folder` answers to each input, in a fresh process."""
    with tempfile.TemporaryDirectory() as place:
        given, answered = Path(place, "inputs.npz"), Path(place, "outputs.npz")
        np.savez(given, *inputs)
        program = PROGRAM.format(inputs=str(given), outputs=str(answered), usage=usage)
        command = [sys.executable, "-B", "-c", program]
        done = subprocess.run(
            command, cwd=folder, capture_output=True, encoding="utf-8", errors="replace"
        )
        if done.returncode:
            reason = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
            raise Unfaithful(f"the exported model cannot be loaded and used: {reason[0]}")
        with np.load(answered) as file:
            return [file[f"arr_{n}"] for n in range(len(inputs))]


def reference(network: Network, x: Array) -> Array:
    """The NumPy backend's outputs for `x` `(N, T, F)`, as `predictions.csv` has them, float64."""
    model, nothing = network.model, np.zeros((1, 1, 1, 1))
    rules = preset("matched")  # any would do: they matter in training only
    training = TrainingSpec(
        loss=network.loss,
        optimizer="sgd",
        numbers={},
        semantics=rules,
        precision=network.precision,
    )
    state = State({name: value[None] for name, value in network.weights.items()})
    backend = NumpyBackend(model, training, Data(nothing, nothing), state)
    scaled = ((x - network.x_mean) / network.x_std).astype(network.precision)
    y = backend.predict(scaled[None])[0].astype(np.float64)
    if gives_logits(network.loss):
        return 0.5 * np.tanh(0.5 * y) + 0.5
    return y * network.y_std + network.y_mean
