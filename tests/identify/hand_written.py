"""Recordings written by hand, whose losses are those of the reference under any rules."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from harness.core.arrays import Array
from harness.core.model import Params
from harness.identify.case import Case
from harness.identify.network import read_case
from harness.identify.replay import losses
from harness.identify.stated import starts
from harness.readers.foreign_network import Stated
from harness.recorder.recording import read_recording

LR = 0.01


def write(folder: Path, arrays: dict[str, Array], initial: Params, stated: Any) -> None:
    folder.mkdir()
    for name, values in arrays.items():
        np.save(folder / f"{name}.npy", values)
    save_file(initial, folder / "initial.safetensors")
    facts = {
        "format": 1,
        "framework": "by hand",
        "steps": len(arrays["batches"]),
        "arrays": {name: values.shape for name, values in arrays.items()},
        "stated": stated,
    }
    (folder / "recording.json").write_text(json.dumps(facts))


def simple(folder: Path, **rules: Any) -> None:
    """Record 12 steps of a simple cell, trained by the reference with Adam as in the preset jax.

    `rules` are changes such as `semantics.adam_eps`.
    """
    rng = np.random.default_rng(0)
    x = rng.normal(size=(12, 4, 2))
    arrays = {
        "x": x,
        "y": x[:, :, :1].sum(1),
        "batches": np.stack([rng.permutation(12)[:6] for _ in range(12)]),
        "losses": np.ones(12),
        "learning_rates": np.full((12, 1), LR),
    }
    initial = {
        "rnn.0.kernel": rng.normal(size=(2, 3)),
        "rnn.0.recurrent_kernel": rng.normal(size=(3, 3)) / 2,
        "rnn.0.bias": np.zeros(3),
        "head.kernel": rng.normal(size=(3, 1)),
        "head.bias": np.zeros(1),
    }
    write(folder, arrays, initial, {})
    altered(folder, folder, **rules)


def altered(source: Path, folder: Path, **rules: Any) -> None:
    """Copy a recording with the losses of its own rules' first candidate, but for `rules`."""
    if source != folder:
        shutil.copytree(source, folder)
    recording = read_recording(folder)
    case = case_of(folder)
    first = starts(folder, recording)[0]
    changed = first | {key.replace("__", "."): value for key, value in rules.items()}
    np.save(folder / "losses.npy", losses(case, [changed], len(case.losses))[:, 0])


def case_of(folder: Path) -> Case:
    recording = read_recording(folder)
    rates = None if recording.learning_rates is not None else LR
    return read_case(folder, recording, Stated(), rates)
