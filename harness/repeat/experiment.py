"""A recorded training as files: an option of `experiment`, its semantics, and what it reads.

They are in one folder, for `--config-dir`, which may be moved: the settings name their files by
`${own_file:…}`, relative to it.
"""

import io
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from safetensors.numpy import save

from harness.config.damaged_files import reading
from harness.core.errors import ConfigError
from harness.identify import answer
from harness.identify.replay import problem_of
from harness.parity.problem import Problem
from harness.repeat.epochs import order_of
from harness.repeat.rules import Identified
from harness.system.durable_files import write_files

SAMPLES, WEIGHTS = "samples.npz", "weights.safetensors"
ORDER, RATES = "order.npy", "learning_rates.npy"
OTHER = "choose another --name or --out"


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """Where the files of an experiment are: `experiment/NAME.yaml` in `folder`, and others."""

    folder: Path
    name: str

    @property
    def settings(self) -> Path:
        """The option itself."""
        return self.folder / "experiment" / f"{self.name}.yaml"

    @property
    def semantics(self) -> Path:
        """The rules, as `harness identify` writes them."""
        return self.folder / "semantics" / f"{self.name}.yaml"

    @property
    def files(self) -> str:
        """The folder of what the settings name, relative to `folder`."""
        return f"recordings/{self.name}"


def write(experiment: Experiment, identified: Identified, recording: Path) -> None:
    """Write the files of an experiment; what is there already must be the same.

    Raises `ConfigError`, and then writes nothing.
    """
    problem = problem_of(identified.whole, [identified.rules], identified.recording.steps)
    order = order_of(identified.recording)
    contents = {SAMPLES: _samples(identified), ORDER: _npy(order)}
    contents[WEIGHTS] = save({n: np.array(v) for n, v in problem.state.params.items()})
    if not _is_constant(problem):
        contents[RATES] = _npy(problem.lr[:, 0])
    files = {experiment.folder / experiment.files / n: data for n, data in contents.items()}
    settings = _settings(experiment, identified, problem, order)
    files[experiment.settings] = (_header(identified, recording) + settings).encode()
    new = {path: content for path, content in files.items() if not _has(path, content)}
    if not _has_semantics(experiment.semantics, identified):
        answer.write(experiment.semantics, identified.answer, identified.verdicts, recording)
    try:
        write_files(new)
    except OSError as error:
        reason = error.strerror or error
        raise ConfigError(f"{experiment.folder}: cannot be written ({reason}); {OTHER}.") from error


def _settings(
    experiment: Experiment, identified: Identified, problem: Problem, order: np.ndarray
) -> str:
    """Return the YAML of the option, but for its header."""
    model, training, rules = problem.model, problem.training, identified.rules

    def own(name: str) -> str:
        return f"${{own_file:{experiment.files}/{name}}}"

    numbers = {n: float(v[0]) for n, v in training.numbers.items() if n != "rho"}
    nesterov = {"nesterov": training.nesterov} if training.optimizer == "sgd" else {}
    rates = {} if _is_constant(problem) else {"learning_rates": own(RATES)}
    groups: dict[str, Any] = {
        "task": {
            "name": experiment.name,
            "path": own(SAMPLES),
            "loss": training.loss,
            "val_fraction": 0.0,
            "test_fraction": 0.0,
        },
        "model": {
            "units": model.units,
            "layers": model.layers,
            "activation": model.activation,
            "returns": model.returns,
            "head": model.head,
            "weights": own(WEIGHTS),
        },
        "optimizer": {"lr": float(problem.lr.max()), **numbers, **nesterov},
        "trainer": {
            "epochs": len(order),
            "batch_size": order.shape[2],
            "clip": rules["trainer.clip"],
            "order": own(ORDER),
            **rates,
        },
        "semantics": {"tf32": "off"},  # whose three digits are no rounding that is judged here
        "precision": training.precision,
    }
    chosen = {"task": "file", "model": model.cell, "optimizer": training.optimizer}
    chosen["semantics"] = experiment.name
    defaults = [{f"override /{group}": option} for group, option in chosen.items()]
    return yaml.safe_dump({"defaults": defaults, **groups}, sort_keys=False)


def _header(identified: Identified, recording: Path) -> str:
    found = identified.found
    if found.fits:
        how = "It has the rules that harness identify finds."
    else:
        step = found.judged.parts_at
        how = f"Its rules do NOT give the recorded losses: they are the nearest, to step {step}."
    return (
        "# @package _global_\n"
        f"# The training in the recording {recording.resolve().name!r}. {how}\n"
    )


def _is_constant(problem: Problem) -> bool:
    return bool((problem.lr == problem.lr[0]).all())


def _samples(identified: Identified) -> bytes:
    case, file = identified.whole, io.BytesIO()
    np.savez(file, x=case.x, y=case.targets[identified.rules["model.returns"]])
    return file.getvalue()


def _npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def _has(path: Path, content: bytes) -> bool:
    """Whether the file is there. Raises `ConfigError` if it has other contents."""
    try:
        if path.read_bytes() == content:
            return True
    except FileNotFoundError:
        return False
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); {OTHER}.") from error
    raise ConfigError(f"{path}: is there already, with other contents; {OTHER}.")


def _has_semantics(path: Path, identified: Identified) -> bool:
    """Whether the file is there. Raises `ConfigError` if it has other rules; remarks may differ."""
    if not path.exists():
        return False
    with reading(path, OTHER):
        if yaml.safe_load(path.read_text(encoding="utf-8")) == asdict(identified.answer.semantics):
            return True
    raise ConfigError(f"{path}: is there already, with other rules; {OTHER}.")
