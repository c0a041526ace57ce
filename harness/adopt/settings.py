"""The files and the settings by which an adopted network is a run like any other."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from harness.console.command_line import override
from harness.core.arrays import Array
from harness.core.file_names import DATA
from harness.core.model import ModelSpec
from harness.formats.reference import reference
from harness.formats.trained_network import Network
from harness.readers.foreign_network import ForeignNetwork
from harness.system.durable_files import Content, write_files
from harness.system.own_files import note_files, note_folder
from harness.training.checkpoints import params_writer

FOLDER = "adopted"  # in the run's folder
WEIGHTS, FACTS = "weights.safetensors", "file.json"
SAMPLES, STEPS = 40, 12  # of the random inputs that a network is given without data


@dataclass(frozen=True, kw_only=True)
class Adopted:
    """A foreign network with the proof that it was read as its framework reads it."""

    path: Path
    foreign: ForeignNetwork
    difference: float

    @property
    def tags(self) -> dict[str, str]:
        """What the run's record says of the file."""
        return {
            "adopted_from": str(self.path.resolve()),
            "adopted_sha256": hashlib.sha256(self.path.read_bytes()).hexdigest(),
            "adopted_difference": f"{self.difference:.2e}",
        }


def write_pieces(adopted: Adopted, directory: Path, data: Path | None) -> list[str]:
    """Write weights and data into the run's directory; return the settings that name them."""
    network, folder = adopted.foreign.network, directory / FOLDER
    weights = {name: value[None] for name, value in network.weights.items()}
    facts = {**adopted.tags, "notes": adopted.foreign.notes}
    pieces: dict[Path, Content] = {
        folder / WEIGHTS: params_writer(weights),
        folder / FACTS: json.dumps(facts, indent=2),
    }
    if data is None:
        data = directory / DATA
        pieces[data] = partial(_save, arrays=_own_outputs(network))
    note_files(*pieces)
    note_folder(folder)
    write_files(pieces)
    return list(_settings(network, folder / WEIGHTS, data))


def _own_outputs(network: Network) -> dict[str, Array]:
    """Return random inputs `(N, T, F)`, and the network's own outputs as targets."""
    x = np.random.default_rng(0).normal(size=(SAMPLES, STEPS, network.model.features))
    return {"x": x, "y": reference(network, x.astype(network.precision))}


def _save(path: Path, arrays: dict[str, Array]) -> None:
    with path.open("wb") as file:  # by a path, NumPy adds an ending
        np.savez(file, **arrays)  # pyright: ignore[reportArgumentType]


def _settings(network: Network, weights: Path, data: Path) -> Iterator[str]:
    yield "task=file"
    yield from _words("task", path=str(data), loss=network.loss)
    yield from ("task.val_fraction=0", "task.test_fraction=0.5")  # nothing is trained on the rest
    model = network.model
    yield f"model={model.cell}"
    yield from _words(
        "model",
        units=model.units,
        layers=model.layers,
        activation=model.activation,
        returns=model.returns,
        head=model.head,
        weights=str(weights),
    )
    yield from _biases(model)
    yield f"precision={network.precision}"
    yield "trainer.epochs=0"


def _biases(model: ModelSpec) -> Iterator[str]:
    if model.cell == "gru":
        yield from _words("semantics", gru_biases=model.biases, gru_reset=model.reset)
    else:
        yield from _words("semantics", biases=model.biases)


def _words(group: str, **values: str | int) -> Iterator[str]:
    for name, value in values.items():
        key = f"{group}.{name}"
        yield f"{key}={value}" if isinstance(value, int) else override(key, value)
