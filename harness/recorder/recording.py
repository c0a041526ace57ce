"""A recording: what a training program did, as its folder says it; docs/recording.md is the format.

`recording.json` says which arrays there are and of which shapes, and each is a file of its own, so
that a program in any language can write a recording. Nothing is unpickled.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from safetensors import SafetensorError, safe_open

from harness.core.arrays import Array
from harness.core.errors import ConfigError, first_line
from harness.recorder.rows import DIGEST_BYTES
from harness.system.npy_file import read_npy
from harness.system.physical_memory import physical_memory

FORMAT = 1  # increased when a field changes its meaning
FACTS, INITIAL, UNFINISHED = "recording.json", "initial.safetensors", "unfinished"
MOST_FACTS = 2**26  # bytes of recording.json
REMEDY = "copy it again, or record the training again; docs/recording.md has the format"
READ_ERRORS = (
    *(SafetensorError, ValueError, LookupError, TypeError, AttributeError, OSError),
    *(RecursionError, OverflowError, MemoryError),
)

# The arrays: kinds of dtype, and axes. S steps, B samples of the largest batch, G groups of
# parameters, N distinct samples; … is any number of further axes.
ARRAYS: dict[str, tuple[str, tuple[str | int, ...]]] = {
    "losses": ("f", ("S",)),
    "loss_errors": ("f", ("S",)),
    "epochs": ("iu", ("S",)),
    "learning_rates": ("f", ("S", "G")),
    "gradient_norms": ("f", ("S", 2)),
    "batches": ("i", ("S", "B")),
    "x": ("fiub", ("N", "…")),
    "y": ("fiub", ("N", "…")),
    "sample_weight": ("fiub", ("N", "…")),
    "digests": ("u", ("N", DIGEST_BYTES)),
}


@dataclass(frozen=True, kw_only=True)
class Recording:
    """What a training did. An array is None, or missing from `data`, where it is not known."""

    framework: str  # keras, torch, jax, or the name of another
    steps: int  # S, at least 1
    initial: dict[str, Array]  # weights before the first step, by the framework's names
    losses: Array | None = None  # (S,) of each step's batch, before its update
    loss_errors: Array | None = None  # (S,) how far `losses` may be off as they were derived
    epochs: Array | None = None  # (S,) the epoch of each step, from 0
    learning_rates: Array | None = None  # (S, G) one for each group of parameters
    gradient_norms: Array | None = None  # (S, 2) after the backward pass, and at the step
    batches: Array | None = None  # (S, B) numbers of samples, from 0; -1 fills up short batches
    data: dict[str, Array] = field(default_factory=dict[str, Array])  # x, y, sample_weight (N, …)
    digests: Array | None = None  # (N, 16) uint8
    versions: dict[str, str] = field(default_factory=dict[str, str])
    stated: dict[str, Any] = field(default_factory=dict[str, Any])  # what the program says it does
    notes: list[str] = field(default_factory=list[str])  # what the recording cannot hold
    epoch_logs: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])


def read_recording(folder: str | Path) -> Recording:
    """Read and check a recording. Raises `ConfigError` of one line for what is wrong with it."""
    folder = Path(folder)
    facts = _facts(folder)
    shapes = facts.pop("arrays")
    facts |= {name: _array(folder, name, shape) for name, shape in shapes.items()}
    data = {name: facts.pop(name) for name in ("x", "y", "sample_weight") if name in facts}
    recording = Recording(**facts, data=data, initial=_initial(folder / INITIAL))
    _check_batches(folder, recording)
    return recording


def _facts(folder: Path) -> dict[str, Any]:
    """Return the fields of `recording.json`; `arrays` are tuples of a shape by name."""
    path = folder / FACTS
    if not path.is_file():
        unfinished = (folder / UNFINISHED).exists()
        why = "the training still goes on, or was killed" if unfinished else "it is no recording"
        raise ConfigError(f"{folder}: has no {FACTS}: {why}; name a folder that a recorder wrote.")
    try:
        if path.stat().st_size > MOST_FACTS:
            raise ValueError(f"it has more than {MOST_FACTS:,} bytes")
        facts = json.loads(path.read_bytes(), parse_constant=_refuse_constant)
        found = facts.pop("format", None)
        if found == FORMAT:
            _check_facts(facts)
            return facts
    except READ_ERRORS as error:
        _damaged(path, error)
    raise ConfigError(
        f"{path}: format={found!r}: this version reads format {FORMAT}; use a newer version of "
        "the harness, or correct the number."
    )


def _check_facts(facts: dict[str, Any]) -> None:
    """Check the fields' types and the arrays' shapes, which become tuples; raise `ValueError`."""
    wanted = {"framework": str, "steps": int, "arrays": dict}
    optional = {"versions": dict, "stated": dict, "notes": list, "epoch_logs": list}
    for name, kind in wanted.items():
        if type(facts[name]) is not kind:
            raise ValueError(f"{name}={facts[name]!r} must be {_KINDS[kind]}")
    for name, value in facts.items():
        if name not in wanted and type(value) is not optional.get(name):
            valid = _KINDS[optional[name]] if name in optional else "left out: it is no field"
            raise ValueError(f"{name} must be {valid}")
    for name, kind in (("notes", str), ("epoch_logs", dict)):
        if not all(type(entry) is kind for entry in facts.get(name, [])):
            raise ValueError(f"each entry of {name} must be {_KINDS[kind]}")
    if not all(type(version) is str for version in facts.get("versions", {}).values()):
        raise ValueError("each entry of versions must be text")
    if facts["steps"] < 1:
        raise ValueError(f"steps={facts['steps']}: the training ended before its first step")
    lengths = {"S": facts["steps"]}
    for name, shape in facts["arrays"].items():
        _check_shape(name, shape, lengths)
        facts["arrays"][name] = tuple(shape)


_KINDS = {str: "text", int: "a whole number", dict: "an object", list: "a list"}


def _check_shape(name: str, shape: object, lengths: dict[str, int]) -> None:
    """Raise `ValueError` unless `shape` has the axes of `name`, as long as other arrays' are."""
    if name not in ARRAYS:
        raise ValueError(f"arrays.{name} is no array; the arrays are {', '.join(ARRAYS)}")
    axes = [axis for axis in ARRAYS[name][1] if axis != "…"]
    further = "…" in ARRAYS[name][1]
    if not isinstance(shape, list) or not all(type(n) is int and n >= 1 for n in shape):
        raise ValueError(f"arrays.{name}={shape!r} must be a list of lengths, each at least 1")
    fits = len(shape) >= len(axes) if further else len(shape) == len(axes)
    for axis, length in zip(axes, shape, strict=False):
        known = axis if isinstance(axis, int) else lengths.setdefault(axis, length)
        fits = fits and length == known
    if not fits:
        lengths_text = ", ".join(f"{axis}={length}" for axis, length in lengths.items())
        names = ", ".join(map(str, ARRAYS[name][1]))
        raise ValueError(f"arrays.{name}={shape} must be [{names}], where {lengths_text}")


def _array(folder: Path, name: str, shape: tuple[int, ...]) -> Array:
    path = folder / f"{name}.npy"
    try:
        values = read_npy(path, ARRAYS[name][0])
        if values.shape != shape:
            raise ValueError(f"has shape {values.shape}; recording.json says {shape}")
        return values
    except READ_ERRORS as error:
        _damaged(path, error)


def _initial(path: Path) -> dict[str, Array]:
    """Return the arrays of a safetensors file, all of them finite numbers."""
    try:
        if path.stat().st_size > physical_memory():
            raise ValueError("is larger than this machine's memory")
        with safe_open(path, "np") as file:
            arrays = {name: np.asarray(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118
        if not arrays:
            raise ValueError("has no arrays")
        for name, values in arrays.items():
            if not np.isfinite(values).all():
                raise ValueError(f"{name} has a value that is not finite")
        return arrays
    except READ_ERRORS as error:
        _damaged(path, error)


def _check_batches(folder: Path, recording: Recording) -> None:
    """Raise `ConfigError` unless each batch has samples that are there, and -1 only after them."""
    batches = recording.batches
    if batches is None:
        return
    samples = [*recording.data.values(), recording.digests]
    count = next((len(values) for values in samples if values is not None), 0)
    filled = batches >= 0
    valid = (batches >= -1).all() and (batches < count).all()
    if not (valid and filled[:, 0].all() and (np.diff(filled.astype(int), axis=1) <= 0).all()):
        raise ConfigError(
            f"{folder / 'batches.npy'}: each row must have numbers from 0 to {count - 1} of the "
            f"{count} samples in x.npy or digests.npy, then -1 alone; {REMEDY}."
        )


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no finite number")


def _damaged(path: Path, error: BaseException) -> NoReturn:
    reason = f"has no {error}" if type(error) is KeyError else first_line(error)
    if isinstance(error, OSError):
        reason = error.strerror or reason
    raise ConfigError(f"{path}: cannot be used ({reason}); {REMEDY}.") from error
