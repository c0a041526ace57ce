"""Runs as Python objects: trained here, or read from their directories."""

import tempfile
import uuid
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors.numpy import load_file

from harness.config.compose import compose
from harness.config.damaged_files import reading
from harness.config.overrides import key_of
from harness.config.saved_config import load_config
from harness.config.serialise import flat_composed
from harness.core import file_names
from harness.core.arrays import Array
from harness.core.errors import ConfigError
from harness.core.model import Params
from harness.formats.reference import reference
from harness.runs import run as runs
from harness.runs.checksums import check_file
from harness.runs.find import find_run
from harness.runs.identity import Identity
from harness.runs.names import single_name
from harness.runs.new_run import new_run
from harness.runs.stored_network import read_network
from harness.tracking.journal import Event, read
from harness.tracking.journals import journals_below


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run, as its directory tells it.

    `curves` has a row per epoch and replica, as its index `(epoch, replica)` says, and a column per
    metric; `values` holds the metrics at the final weights, `(R,)` each; `settings` every setting
    by its dotted key. `status` is `FINISHED`, `FAILED` or `KILLED`, or None where the run has not
    ended.
    """

    name: str
    status: str | None
    directory: Path
    settings: dict[str, Any]
    curves: pd.DataFrame
    values: dict[str, Array]

    @property
    def predictions(self) -> pd.DataFrame:
        """A row per predicted number, as in `predictions.csv`."""
        path = self.directory / file_names.PREDICTIONS
        check_file(self.directory, file_names.PREDICTIONS)
        with reading(path):
            return pd.read_csv(self._there(path))

    @property
    def weights(self) -> Params:
        """The final weights `(R, …)` by canonical name."""
        path = self.directory / file_names.FINAL_WEIGHTS
        check_file(self.directory, file_names.FINAL_WEIGHTS)
        with reading(path):
            return load_file(self._there(path))

    def _there(self, path: Path) -> Path:
        """Return a file of the run. Raises `ConfigError` if the run has not come so far."""
        if not path.is_file():
            raise ConfigError(f"{path}: this run has none; its status is {self.status}.")
        return path

    def predict(self, x: Array, replica: int = 0) -> Array:
        """Return the trained network's outputs for `x` `(N, T, F)`, both in original units.

        The outputs are `(N, O)`, or `(N, T, O)` where the model returns every step, in float64;
        probabilities where the loss is `bce`. They are computed by the NumPy reference.
        """
        return reference(read_network(self.directory, replica), x)


def run(*overrides: str, progress: bool = False) -> Run:
    """Train as `harness OVERRIDES` does, and return the finished run.

    The run has a directory of its own in `results/runs` and is tracked as on the command line.
    Raises `ConfigError` for a setting that cannot be used, `Diverged` for a loss that is no longer
    finite.
    """
    for override in overrides:
        if key_of(override) in ("resume", "checkpoint"):
            raise ConfigError(
                f"{override}: runs are resumed on the command line: harness {override}"
            )
    config = compose(list(overrides))
    words = list(overrides)
    with new_run(config.results) as directory:
        identity = Identity(
            name=single_name(config, words),
            directory=directory,
            overrides=words,
            shows_progress=progress,
        )
        runs.run(config, identity)
    return load_run(directory)


def load_run(run: str | Path, results: str | Path = "results", uri: str | None = None) -> Run:
    """Read a run, given by its directory, its name, or its id or name in MLflow.

    `results` is the folder of the runs and `uri` MLflow's tracking URI, by default that of the
    database in `results`. Raises `ConfigError` where there is no such run.
    """
    needed = (file_names.CONFIG, file_names.NETWORK, file_names.WEIGHTS, file_names.PREDICTIONS)
    fetched = Path(tempfile.gettempdir(), f"harness-{uuid.uuid4().hex}")  # made only if needed
    directory = find_run("", str(run), Path(results), uri, needed, fetched)
    check_file(directory, file_names.CONFIG)
    events = list(read(directory))
    start: Event = next((e for e in events if e["kind"] == "start"), {})
    end: Event = next((e for e in reversed(events) if e["kind"] == "end"), {})
    return Run(
        name=start.get("name", directory.name),
        status=end.get("status"),
        directory=directory,
        settings=flat_composed(load_config(directory)),
        curves=_curves(events),
        values=_values(events),
    )


def find_runs(results: str | Path = "results") -> list[Run]:
    """Read all runs in the folder `results`, those of sweeps too, in the order of their folders.

    It may also be a sweep's; runs that it links to are among them. A damaged run is left out, with
    a warning.
    """
    found: list[Run] = []
    for folder in journals_below(Path(results)):
        if not (folder / file_names.CONFIG).is_file():  # a sweep, or a job that could not begin
            continue
        try:
            found.append(load_run(folder))
        except ConfigError as error:
            warnings.warn(str(error), stacklevel=2)
    return found


def _curves(events: list[Event]) -> pd.DataFrame:
    """Return the metrics of each epoch and replica; those at step 0 belong to no epoch."""
    rows = [
        {"epoch": event["step"], "replica": replica}
        | dict(zip(event["values"], values, strict=True))
        for event in events
        if event["kind"] == "metrics" and event["step"] > 0
        for replica, values in enumerate(zip(*event["values"].values(), strict=True))
    ]
    if not rows:
        return pd.DataFrame()
    return pd.DataFrame(rows).set_index(["epoch", "replica"]).sort_index()


def _values(events: list[Event]) -> dict[str, Array]:
    """Return each metric at the final weights.

    After early stopping these are the best epoch's, or else those of the last epoch and of the
    evaluation after it.
    """
    values: dict[str, Array] = {}
    for event in events:
        if event["kind"] == "metrics":
            values |= {name: np.array(value) for name, value in event["values"].items()}
    for event in events:
        if event["kind"] == "scalars":
            restored = {n: v for n, v in event["values"].items() if n.startswith("final/")}
            values |= {n.removeprefix("final/"): np.array(v) for n, v in restored.items()}
    return values
