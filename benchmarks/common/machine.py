"""The machine: its speed of matrix products and of memory, a process' peak memory, its versions.

The product is NumPy's, of two float32 matrices of 1024 × 1024, with the threads of the contestants;
the copy is NumPy's, too, of an array that no cache holds, as in STREAM (McCalpin 1995). Both are
timed in turn with the contestants, since a busy machine is slower for all.
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
COPIED = 2**26  # bytes
MOVED = 2 * COPIED  # they are read and written
PEERS = ("optax", "flax", "lightning")  # versions that a run of the harness does not record
KILOBYTE = 1024


def use_threads(threads: int) -> None:
    """Set the sizes of the thread pools that all contestants of a process share."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(threads, user_api="blas")
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)


def matrix_product() -> Epoch:
    """Return a function that multiplies once."""
    import numpy as np

    a, b = np.random.default_rng(0).normal(size=(2, SIDE, SIDE)).astype("float32")
    out = np.empty_like(a)

    def product() -> None:
        np.matmul(a, b, out=out)

    return product


def memory_copy() -> Epoch:
    """Return a function that copies once."""
    import numpy as np

    source = np.ones(COPIED // 4, np.float32)
    out = np.empty_like(source)

    def copy() -> None:
        np.copyto(out, source)

    return copy


def peak_memory() -> int:
    """Return the peak memory of this process in bytes."""
    # Linux counts in kilobytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KILOBYTE


def facts() -> dict[str, Any]:
    """Return machine and versions, for JSON."""
    machine = provenance.machine() | {"processor": _processor(), "cores": os.cpu_count()}
    versions = dict(provenance.versions())
    for package in PEERS:
        try:
            versions[f"version.{package}"] = version(package)
        except PackageNotFoundError:
            continue
    return machine | {"versions": versions}


def _processor() -> str:
    """Return the processor's name, from /proc/cpuinfo where there is one."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
