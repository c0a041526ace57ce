"""The machine as a yardstick: its matrix-product speed, a process' peak memory, and its versions.

The product is NumPy's, of two float32 matrices of 1024 × 1024, at the thread count of all else that
is timed. It is timed in turn with the contestants, since a busy machine is slower for both.
"""

import os
import platform
import resource
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.common.timing import Epoch
from harness.tracking import provenance

SIDE = 1024
OPERATIONS = 2 * SIDE**3
PEERS = ("optax", "flax", "lightning")  # versions that a run of the harness does not record
KILOBYTE = 1024


def use_threads(threads: int) -> None:
    """Of the pools that are one for all contestants of a process, and that some of them change."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(threads, user_api="blas")
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)


def matrix_product() -> Epoch:
    """A function that multiplies once."""
    import numpy as np

    a, b = np.random.default_rng(0).normal(size=(2, SIDE, SIDE)).astype("float32")
    out = np.empty_like(a)

    def product() -> None:
        np.matmul(a, b, out=out)

    return product


def peak_memory() -> int:
    """Bytes: the most that this process has held so far. Linux counts in kilobytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KILOBYTE


def facts() -> dict[str, Any]:
    """Machine and versions, for JSON."""
    found = provenance.machine() | {"processor": _processor(), "cores": os.cpu_count()}
    versions = dict(provenance.versions())
    for package in PEERS:
        try:
            versions[f"version.{package}"] = version(package)
        except PackageNotFoundError:
            continue
    return found | {"versions": versions}


def _processor() -> str:
    """Its name, which Python knows on some systems only."""
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text(encoding="utf-8").splitlines() if listed.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
