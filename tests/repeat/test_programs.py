"""Trainings of plain programs, recorded, are repeated by every backend inside the rounding band."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import pytest

from harness.repeat.__main__ import main
from harness.repeat.repeat import BACKENDS
from tests.identify import test_jax as jax_programs
from tests.identify import test_torch as torch_programs

PROGRAM = Path(__file__).parent / "programs/keras_program.py"
ROW = re.compile(r"^(\w+) +([\d,]+) +(\S+) +(\S+) +(inside|outside.*?) *$", re.M)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def keras_recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keras")
    settings = os.environ | {"KERAS_BACKEND": "tensorflow"}
    subprocess.run([sys.executable, str(PROGRAM), str(folder)], env=settings, check=True)
    return folder


def repeated(
    folder: Path, steps: int, here: Path, capsys: pytest.CaptureFixture[str], *words: str
) -> Path:
    """The recording's gaps are inside in each backend; return the folder of its settings."""
    out = here / "out"
    places = ("--out", str(out), f"results={here / 'results'}", "tracking=journal")
    assert main([str(folder), *places, *words]) == 0
    said = capsys.readouterr().out
    rows = {backend: (int(count), verdict) for backend, count, _, _, verdict in ROW.findall(said)}
    assert rows == dict.fromkeys(BACKENDS, (steps, "inside"))
    assert f"Judged by {steps} steps" in said
    return out


Record = Callable[[Path, str], None]
PROGRAMS = [("torch", name) for name in ("adam", "momentum and a schedule", "values clipped")]
PROGRAMS += [("jax", name) for name in ("adamw", "clipped")]


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize(("framework", "name"), PROGRAMS)
def test_programs_of_pytorch_and_optax(
    framework: str,
    name: str,
    precision: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, words = tmp_path / "recorded", ()
    if framework == "torch":
        torch_programs.record(folder, torch_programs.PROGRAMS[name], precision)
    else:
        cell, optimizer = jax_programs.PROGRAMS[name][:2]
        with jax.enable_x64(precision == "float64"):
            jax_programs.record(folder, cell, optimizer, precision)
        words = ("--lr", str(jax_programs.RATE))
    repeated(folder, 18, tmp_path, capsys, *words)


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize(("name", "steps"), [("labels", 15), ("stopped", 8)])
def test_programs_of_keras_with_samples_for_validation(
    keras_recordings: Path,
    name: str,
    steps: int,
    precision: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recording = keras_recordings / f"{name}_{precision}"
    out = repeated(recording, steps, tmp_path, capsys)
    files = out / "recordings" / recording.name
    assert len(np.load(files / "samples.npz")["x"]) == 22
    order = np.load(files / "order.npy")
    assert order.shape == ((5, 3, 8) if name == "labels" else (3, 3, 8))
    assert ((order >= 0).any(axis=2).sum()) == steps
