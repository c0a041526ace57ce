"""A recorded training as files: an option of `experiment`, its semantics, and what it reads.

They are in one folder, for `--config-dir`, which may be moved: the settings name their files by
`${own_file:…}`, relative to it.
"""

import io
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import yaml
from safetensors.numpy import save

from harness.config.damaged_files import reading
from harness.core.errors import ConfigError
from harness.identify import answer
from harness.identify.replay import problem_of
from harness.repeat.epochs import order_of
from harness.repeat.rules import NamedRules
from harness.repeat.settings import (
    ORDER,
    RATES,
    SAMPLES,
    WEIGHTS,
    header,
    is_constant,
    settings_text,
)
from harness.system.durable_files import write_files

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


def write(experiment: Experiment, identified: NamedRules, recording: Path) -> None:
    """Write the files of an experiment; what is there already must be the same.

    Raises `ConfigError`, and then writes nothing.
    """
    problem = problem_of(identified.whole, [identified.rules], identified.recording.steps)
    order = order_of(identified.recording)
    contents = {SAMPLES: _samples(identified), ORDER: _npy(order)}
    contents[WEIGHTS] = save({n: np.array(v) for n, v in problem.state.params.items()})
    if not is_constant(problem.lr):
        contents[RATES] = _npy(problem.lr[:, 0])
    files = {experiment.folder / experiment.files / n: data for n, data in contents.items()}
    text = settings_text(experiment.name, experiment.files, identified, problem, order)
    files[experiment.settings] = (header(identified.found, recording) + text).encode()
    new = {path: content for path, content in files.items() if not _has(path, content)}
    if not _has_semantics(experiment.semantics, identified):
        answer.write(experiment.semantics, identified.answer, identified.verdicts, recording)
    try:
        write_files(new)
    except OSError as error:
        reason = error.strerror or error
        raise ConfigError(f"{experiment.folder}: cannot be written ({reason}); {OTHER}.") from error


def _samples(identified: NamedRules) -> bytes:
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


def _has_semantics(path: Path, identified: NamedRules) -> bool:
    """Whether the file is there. Raises `ConfigError` if it has other rules; remarks may differ."""
    if not path.exists():
        return False
    with reading(path, OTHER):
        if yaml.safe_load(path.read_text(encoding="utf-8")) == asdict(identified.answer.semantics):
            return True
    raise ConfigError(f"{path}: is there already, with other rules; {OTHER}.")
