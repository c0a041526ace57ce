"""The recording of a training that goes on, and its files once that has ended, however it ended."""

from __future__ import annotations

import importlib.metadata
import json
import math
import os
import platform
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from harness.core.arrays import Array
from harness.core.errors import ConfigError, first_line
from harness.recorder.recording import ARRAYS, FACTS, FORMAT, INITIAL, UNFINISHED
from harness.recorder.rows import Rows
from harness.system.durable_files import Content, write_files

written_here: list[Writer] = []  # all of this process, in order: a program is asked for its N-th
STEPS = {name: kinds for name, (kinds, axes) in ARRAYS.items() if axes[0] == "S"}


class Writer:
    """What has been recorded so far. The file `unfinished` stands for it until it is written."""

    def __init__(self, folder: str | Path, framework: str, packages: list[str]) -> None:
        """Reserve `folder`; `packages` are those whose versions count. Raises `ConfigError`."""
        self.folder = _reserve(folder)
        self.framework = framework
        self.versions = _versions(packages)
        self.initial: dict[str, Array] = {}
        self.stated: dict[str, Any] = {}
        self.notes: list[str] = []
        self.epoch_logs: list[dict[str, Any]] = []
        self.rows = Rows()
        self._steps: list[dict[str, Any]] = []
        self._written = False
        written_here.append(self)

    def note(self, text: str) -> None:
        """Say, in the recording and on the terminal, what the recording cannot hold; once."""
        if text not in self.notes:
            self.notes.append(text)
            print(f"recorder: {text}", file=sys.stderr)

    @property
    def steps(self) -> int:
        """The number of steps so far."""
        return len(self._steps)

    def add_step(self, **values: Any) -> None:
        """Add a step: an entry of each array along S that is known of it, by the array's name.

        `batches` is a list of any length.
        """
        if self._written:
            self.note("the recording has ended: further steps are not recorded")
        self._steps.append({name: value for name, value in values.items() if value is not None})

    def write(self) -> None:
        """Write the files, `recording.json` last; a second call does nothing."""
        if self._written:
            return
        self._written = True
        arrays = self._arrays()
        files: dict[Path, Content] = {
            self.folder / f"{name}.npy": partial(_save, values) for name, values in arrays.items()
        }
        files[self.folder / INITIAL] = save({n: np.array(v) for n, v in self.initial.items()})
        files[self.folder / FACTS] = self._facts({n: list(v.shape) for n, v in arrays.items()})
        write_files(files)
        (self.folder / UNFINISHED).unlink(missing_ok=True)

    def give_up(self) -> None:
        """Leave the folder as it was, empty, for another try."""
        self._written = True
        written_here.remove(self)
        (self.folder / UNFINISHED).unlink(missing_ok=True)

    def _facts(self, shapes: dict[str, list[int]]) -> str:
        facts = {"format": FORMAT, "framework": self.framework, "versions": self.versions}
        facts |= {"steps": len(self._steps), "arrays": shapes, "notes": self.notes}
        facts |= {"stated": plain(self.stated), "epoch_logs": plain(self.epoch_logs)}
        return json.dumps(facts, indent=2, ensure_ascii=False) + "\n"

    def _arrays(self) -> dict[str, Array]:
        self._end_where_it_diverged()
        arrays = {}
        for name, kinds in STEPS.items():
            entries = [step[name] for step in self._steps if name in step]
            if entries and len(entries) == len(self._steps):
                filled = _filled(entries) if name == "batches" else entries
                arrays[name] = np.array(filled, float if kinds == "f" else np.int64)
            elif entries:
                self.note(f"{name} left out: known of {len(entries)} of {len(self._steps)} steps")
        if "losses" not in arrays:
            self.note("losses unknown: not every step's loss could be recorded")
        if "batches" in arrays:
            arrays |= self.rows.arrays()
            arrays["digests"] = self.rows.digests
            self._note_missing_samples()
        else:
            self.note("order unknown: which samples each step took could not be recorded")
        return arrays

    def _note_missing_samples(self) -> None:
        if self.rows.too_large:
            limit = self.rows.limit
            self.note(f"digests only: the samples have {self.rows.bytes:,} bytes, limit {limit:,}")
        elif self.rows.ragged:
            self.note("digests only: samples have several shapes or types, so no array holds them")

    def _end_where_it_diverged(self) -> None:
        """Leave out the steps from the first whose loss, norm or rate is not finite."""
        for number, step in enumerate(self._steps):
            if not all(np.isfinite(value).all() for value in step.values()):
                self.note(f"step {number} has a loss or a gradient that is not finite: left out")
                del self._steps[number:]
                return


def plain(value: Any) -> Any:
    """Return `value` as JSON can hold it; what it cannot is its text."""
    if isinstance(value, dict):
        return {str(name): plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(entry) for entry in value]
    if isinstance(value, np.generic) or (hasattr(value, "item") and getattr(value, "size", 1) == 1):
        value = value.item()
    finite = not isinstance(value, float) or math.isfinite(value)
    return value if finite and isinstance(value, str | bool | int | float | None) else str(value)


def _filled(batches: list[list[int]]) -> list[list[int]]:
    """Return batches of equal lengths, short ones filled up with -1."""
    width = max(map(len, batches))
    return [[*batch, *[-1] * (width - len(batch))] for batch in batches]


def _save(values: Array, path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, values, allow_pickle=False)


def _reserve(folder: str | Path) -> Path:
    """Make `folder`, which must be new or empty, and put the file `unfinished` in it."""
    path = Path(folder).absolute()
    try:
        path.mkdir(parents=True, exist_ok=True)
        if os.listdir(path):
            raise ConfigError(
                f"{folder}: has files, and a recording replaces none; name a new folder."
            )
        (path / UNFINISHED).touch(exist_ok=False)
    except OSError as error:
        raise ConfigError(
            f"{folder}: no recording can be written there ({error.strerror or first_line(error)}); "
            "name a new folder."
        ) from error
    return path


def _versions(packages: list[str]) -> dict[str, str]:
    """Return the versions of Python, NumPy and those of `packages` that are installed."""
    versions = {"python": platform.python_version(), "platform": platform.platform()}
    for package in ["numpy", *packages]:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
