"""Run a job in a worker process and yield its messages.

Every thread pool has the same size, a GPU is visible only where it is asked for, and caches of
compiled code are off: the first epoch takes as long as a user's first one.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

ROOT = Path(__file__).resolve().parents[2]
POOLS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "PJRT_NPROC",
)


class Job(Protocol):
    """The work of one process."""

    @property
    def threads(self) -> int: ...

    def text(self) -> str:
        """Return the job as JSON."""
        ...


def environment(device: str = "cpu") -> dict[str, str]:
    """Return an environment with the project on `PYTHONPATH`, without GPU unless on `cuda`."""
    inherited = os.environ.get("PYTHONPATH", "")
    path = os.pathsep.join([str(ROOT), *([inherited] if inherited else [])])
    if device == "cuda":  # JAX takes memory as it needs it, as PyTorch does
        return os.environ | {"PYTHONPATH": path, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    return os.environ | {"PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": ""}


def messages(
    job: Job, scratch: Path, module: str = "benchmarks.common.worker", device: str = "cpu"
) -> Iterator[dict[str, Any]]:
    """Yield the worker's messages, and `{"died": reason}` where it ended with an error.

    `scratch` is a folder for PyTorch's compiled code, `module` the worker's program.
    """
    settings = dict.fromkeys(POOLS, str(job.threads))
    settings |= {"TORCHINDUCTOR_CACHE_DIR": str(scratch), "TF_CPP_MIN_LOG_LEVEL": "3"}
    settings["TORCHINDUCTOR_FORCE_DISABLE_CACHES"] = "1"
    command = [sys.executable, "-m", module, job.text()]
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as printed:
        started = subprocess.Popen(
            command,
            env=environment(device) | settings,
            stdout=subprocess.PIPE,
            stderr=printed,
            encoding="utf-8",
        )
        with started as process:
            assert process.stdout is not None
            try:
                yield from map(json.loads, process.stdout)
                code = process.wait()
            finally:
                process.kill()
        if code:
            printed.seek(0)
            last = [line.strip() for line in printed if line.strip()][-1:]
            yield {"died": f"the process ended with code {code}: {' '.join(last)}"}
