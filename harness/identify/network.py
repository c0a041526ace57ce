"""Read a recording as a `Case`: the network by the readers of trained ones, data as they are."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from harness.core.arrays import Array
from harness.core.errors import ConfigError
from harness.core.model import ModelSpec
from harness.formats.trained_network import Network
from harness.identify.case import Case
from harness.identify.keras_network import read_keras
from harness.identify.refusals import check_biases, check_trained
from harness.readers.foreign_network import Stated
from harness.readers.from_file import read_file
from harness.recorder.recording import INITIAL, Recording

RECORD_AGAIN = "record the training again (docs/recording.md)"


def read_case(folder: Path, recording: Recording, stated: Stated, lr: float | None) -> Case:
    """Return the training of a recording; `lr` takes the place of its rates.

    Raises `ConfigError` for what it lacks.
    """
    check_trained(folder, recording)
    network = _network(folder, recording, stated)
    losses, batches, x, y = _arrays(folder, recording)
    S, errors = recording.steps, recording.loss_errors
    model = network.model
    return Case(
        model=model,
        params=network.weights,
        precision=network.precision,
        x=_inputs(folder, x, model),
        targets=_targets(folder, y, x.shape[1], model),
        batches=[row[row >= 0] for row in batches],
        lr=_rates(folder, recording, lr),
        losses=losses.astype(np.float64),
        errors=np.zeros(S) if errors is None else errors.astype(np.float64),
        rounded=recording.stated.get("backend") == "tensorflow" and network.precision == "float64",
    )


def _network(folder: Path, recording: Recording, stated: Stated) -> Network:
    if recording.framework == "keras":
        return read_keras(folder / INITIAL, recording, stated)
    # What stands in the place of an answer is only a beginning: the other is tried, too.
    anything = replace(stated, activation="tanh", returns="last", outputs="values")
    try:
        found = read_file(folder / INITIAL, anything)
    except ConfigError as error:
        if not str(error).startswith("--reset:"):
            raise
        found = read_file(folder / INITIAL, replace(anything, reset="after"))
    check_biases(folder, found.filled)
    return found.network


def _arrays(folder: Path, recording: Recording) -> tuple[Array, Array, Array, Array]:
    losses, batches, data = recording.losses, recording.batches, recording.data
    named = {"losses": losses, "batches": batches, "x": data.get("x"), "y": data.get("y")}
    if missing := [name for name, values in named.items() if values is None]:
        raise ConfigError(
            f"{folder}: has no {' and no '.join(missing)}: without them the training cannot be "
            f"repeated; {RECORD_AGAIN}."
        )
    weights = data.get("sample_weight")
    if weights is not None and (weights != 1).any():
        raise ConfigError(f"{folder}: samples have weights, which no rule here has; leave them.")
    assert losses is not None
    assert batches is not None
    return losses, batches, data["x"], data["y"]


def _inputs(folder: Path, x: Array, model: ModelSpec) -> Array:
    if x.ndim == 2 and model.features == 1:
        x = x[..., None]
    if x.ndim != 3 or x.shape[2] != model.features:
        raise ConfigError(
            f"{folder / 'x.npy'}: has samples {x.shape[1:]}; the network's are (T, "
            f"{model.features})."
        )
    return x


def _targets(folder: Path, y: Array, steps: int, model: ModelSpec) -> dict[str, Array]:
    """Return the targets in each form of `returns` that fits them."""
    N, O = len(y), model.outputs
    shapes = {"last": (N, O), "every_step": (N, steps, O)}
    found = {
        name: y.reshape(shape)
        for name, shape in shapes.items()
        if y.shape in (shape, shape[:-1] if O == 1 else shape)
    }
    if not found:
        raise ConfigError(
            f"{folder / 'y.npy'}: has targets {y.shape[1:]}; the network gives ({O},) at the last "
            f"step, or ({steps}, {O}) at every step."
        )
    return found


def _rates(folder: Path, recording: Recording, lr: float | None) -> Array:
    """Return the learning rate of each step `(S,)`."""
    rates, said = recording.learning_rates, recording.stated.get("learning_rate")
    if lr is None and rates is None and isinstance(said, int | float):
        lr = float(said)
    if lr is None and rates is None:
        raise ConfigError(f"--lr: say the learning rate: {folder} has none.")
    if lr is not None or rates is None:
        return np.full(recording.steps, lr)
    if (rates != rates[:, :1]).any():
        raise ConfigError(
            f"{folder}: groups of parameters have learning rates of their own, which no rule here "
            "has."
        )
    return rates[:, 0].astype(np.float64)
