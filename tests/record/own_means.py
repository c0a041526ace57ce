"""Compare a recording with what its program noted by its own means."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from harness.core.arrays import Array
from harness.recorder.recording import Recording
from tests.support import ROOT
from tests.support.program import PATIENCE, Done

PROGRAMS = Path(__file__).parent / "programs"
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}


def run(folder: Path, *words: str) -> Done:
    """Run Python with these words in `folder`."""
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def record(folder: Path, *words: str) -> Done:
    return run(folder, "-m", "harness.record", "--no-repeat", *words)


def samples(recording: Recording, name: str) -> Array:
    """The samples of all steps, one after the other."""
    assert recording.batches is not None
    return recording.data[name][recording.batches[recording.batches >= 0]]


def assert_same(recording: Recording, x: Array, y: Array, losses: Array) -> None:
    """Assert that a recording has these samples in this order, and to the bit these losses."""
    assert np.array_equal(samples(recording, "x"), x)
    assert np.array_equal(samples(recording, "y"), y)
    assert recording.losses is not None
    assert np.array_equal(recording.losses, losses)
