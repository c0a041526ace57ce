"""A worker process: time trainings of one framework on the device, one after the other.

    python -m benchmarks.gpu.speed_worker JOB

One at a time, unlike elsewhere: each may fill the GPU's memory, and nothing else disturbs a GPU.
Every epoch ends by reading its losses, for which the host waits for all that was sent to the GPU.
"""

import sys

from benchmarks.common import machine
from benchmarks.common.cases import Case
from benchmarks.common.contestants import Contestant, line_up
from benchmarks.common.rows import row_of
from benchmarks.common.timing import Timing, interleave
from benchmarks.common.worker import forget, loaded
from benchmarks.gpu.job import Job, Piece, Row
from benchmarks.gpu.worker import work
from harness.console.command_line import counted
from harness.core.errors import ConfigError

LEAST = 0.05  # seconds that one repeat times at least
HAND = "by hand"  # in place of a kernel
REFUSED = f"{ConfigError.__name__}: "  # a kernel that cannot train this network on this device

smaller: dict[tuple[str, str, str], Row] = {}  # of each network and kernel, the latest row


def timed(job: Job, piece: Piece) -> Row:
    """Return the time of one training, its exception, or why it is left out."""
    kind = (piece["size"], piece["cell"], piece["kernel"])
    reason = _reason(piece["replicas"], smaller.get(kind), job.each)
    row = {"left_out": reason} if reason else _timed(job, piece)
    if row.get("error", "").startswith(REFUSED):
        row = {"left_out": row["error"].removeprefix(REFUSED)}
    smaller[kind] = piece | row
    return row


def _reason(replicas: int, before: Row | None, each: float) -> str | None:
    """Return why a training is left out, seen from that of fewer replicas, or None."""
    if before is None:
        return None
    if "us" not in before:
        return before.get("left_out") or f"{counted(before['replicas'], 'replicas')} failed"
    if before["replicas"] == 1:  # many cost little more, but nobody knows how little
        return None
    growth = replicas / before["replicas"]
    seconds = growth * sum(before["epoch_s"]) * before["epochs_per_repeat"]
    return f"could take {seconds:.0f} s" if seconds > each else None


def _timed(job: Job, piece: Piece) -> Row:
    """Return the row of one training, and free its memory."""
    of = _contestant(job, piece["kernel"], Case.of(piece))
    timing = Timing(loaded(of))
    machine.use_threads(job.threads)
    interleave({of.name: timing}, job.repeats, LEAST, lambda _: None)
    row = row_of(job.framework, of, timing)
    timing.epoch = None
    forget()
    if "torch" in sys.modules:
        sys.modules["torch"].cuda.empty_cache()
    return row


def _contestant(job: Job, kernel: str, case: Case) -> Contestant:
    if kernel == HAND:
        return line_up(job.framework, [case], [], job.threads, "cheap", job.device)[0]
    return line_up(job.framework, [case], [kernel], job.threads, "none", job.device)[0]


if __name__ == "__main__":
    sys.exit(work(timed))
