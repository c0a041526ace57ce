"""A worker process: compare one backend on the device with NumPy, under several settings.

python -m benchmarks.gpu.parity_worker JOB
"""

import math
import sys
from typing import Any

from backends.numpy_backend import NumpyBackend
from benchmarks.gpu.job import Job, Piece, Row
from benchmarks.gpu.worker import work
from harness.core.errors import ConfigError
from harness.parity.lockstep import BackendFailed, Parity, check
from harness.parity.problem import configs, load_classes, problem_of

STEPS = 10


def compared(job: Job, piece: Piece) -> Row:
    """Return the comparison of one piece, whose facts are settings; or the exception."""
    words = ["task=sum", "optimizer=adam", f"device={job.device}"]
    words += [f"{key}={value}" for key, value in piece.items()]
    try:
        composed = configs([job.framework], words)
        classes = {"numpy": NumpyBackend, **load_classes([job.framework], composed)}
        return _row(check(problem_of(composed[0], STEPS), classes))
    except (ConfigError, BackendFailed) as error:
        return {"error": str(error)}


def _row(parity: Parity) -> Row:
    """Return the stage that is farthest beyond its limit, or nearest to it."""
    judged = [d for d in parity.differences.values() if d.judged and d.limit]
    worst = max(judged, key=lambda difference: difference.error / difference.limit)
    row: dict[str, Any] = {"stage": worst.stage, "limit": worst.limit}
    row["relative_error"] = worst.error if math.isfinite(worst.error) else None
    return row | {"first": None if parity.first is None else parity.first.sentence()}


if __name__ == "__main__":
    sys.exit(work(compared))
