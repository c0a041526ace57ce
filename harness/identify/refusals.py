"""What a program may do that no rule here has, and that its recording shows: refused by name."""

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from harness.core.errors import ConfigError
from harness.recorder.recording import Recording

KERAS_WEIGHTS = ("kernel", "recurrent_kernel", "bias")
TORCH_WEIGHTS = ("weight", "bias")  # begin the names of what is trained; buffers have others
SECOND_BIAS = "bias_hh"  # PyTorch's: frozen, it leaves one trained bias, which is a rule here
SCHEDULED = ("lr", "initial_lr")  # learning rates are recorded at every step


def check_trained(folder: Path, recording: Recording) -> None:
    """Raise `ConfigError` where parameters are frozen, or are trained by numbers of their own."""
    said = recording.stated
    if frozen := _frozen(recording):
        _refuse(folder, f"trains without {', '.join(frozen)} (frozen)")
    groups = said.get("param_groups") if recording.framework == "torch" else None
    groups = [g for g in groups if isinstance(g, dict)] if isinstance(groups, list) else []
    for key in groups[0] if groups else ():
        values = [group.get(key) for group in groups]
        if key not in SCHEDULED and any(value != values[0] for value in values):
            shown = ", ".join(map(str, values))
            _refuse(folder, f"has groups of parameters with {key}={shown}")


def check_biases(folder: Path, missing: Sequence[str]) -> None:
    """Raise `ConfigError` where there is no bias in the layers, or under the names, `missing`."""
    if missing:
        _refuse(folder, f"has no biases in {', '.join(missing)}")


def _frozen(recording: Recording) -> list[str]:
    frozen = {"torch": _frozen_torch, "keras": _frozen_keras}.get(recording.framework)
    return [] if frozen is None else frozen(recording)


def _frozen_torch(recording: Recording) -> list[str]:
    """Return the parameters without gradients, and those that the optimiser was not given."""
    grouped, frozen = (recording.stated.get(key) for key in ("group_parameters", "frozen"))
    if not isinstance(grouped, list) or not isinstance(frozen, list):
        return []
    held = [name for group in grouped for name in group]
    weights = [n for n in recording.initial if n.rpartition(".")[2].startswith(TORCH_WEIGHTS)]
    return [n for n in weights if SECOND_BIAS not in n and (n in frozen or n not in held)]


def _frozen_keras(recording: Recording) -> list[str]:
    trained = recording.stated.get("trainable")
    weights = [n for n in recording.initial if n.rpartition("/")[2] in KERAS_WEIGHTS]
    return [n for n in weights if n not in trained] if isinstance(trained, list) else []


def _refuse(folder: Path, what: str) -> NoReturn:
    raise ConfigError(f"{folder}: {what}, which no rule here has; record a training without that.")
