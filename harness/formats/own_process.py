"""Use a network's file by its framework alone, in a process that cannot import this project."""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from harness.core.arrays import Array

# `None` in sys.modules makes an import fail.
PROGRAM = """
import sys
sys.modules["harness"] = sys.modules["backends"] = None
import numpy as np
results = {{}}
for name, x in np.load({inputs!r}).items():
    exec({usage!r})
    results[name] = y
np.savez({outputs!r}, **results)
"""


class Unusable(RuntimeError):
    """A file that its framework cannot load and use. The message is the reason, in one line."""


def outputs_of(usage: str, inputs: Sequence[Array], folder: Path) -> list[Array]:
    """Return the outputs of a network for each input `(N, T, F)`, from a new process in `folder`.

    `usage` is code that computes `y` from `x`. Raises `Unusable`.
    """
    with tempfile.TemporaryDirectory() as place:
        input_file, output_file = Path(place, "inputs.npz"), Path(place, "outputs.npz")
        np.savez(input_file, *inputs)
        program = PROGRAM.format(inputs=str(input_file), outputs=str(output_file), usage=usage)
        command = [sys.executable, "-B", "-c", program]
        done = subprocess.run(
            command, cwd=folder, capture_output=True, encoding="utf-8", errors="replace"
        )
        if done.returncode:
            reason = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
            raise Unusable(reason[0])
        with np.load(output_file) as file:
            return [file[f"arr_{n}"] for n in range(len(inputs))]
