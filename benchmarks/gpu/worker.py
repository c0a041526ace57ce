"""What the workers of `gpu` share: a time limit for all pieces, and one for each.

A piece that exceeds its limit may hang in a framework's own code. So `faulthandler` ends the whole
process, and the parent starts another one without that piece.
"""

import faulthandler
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from benchmarks.common.worker import speaker
from benchmarks.gpu.frameworks import refusal
from benchmarks.gpu.job import NO_TIME, Job, Piece, Row

GRACE = 5.0  # seconds beyond its share that a part may take before it is ended


def work(do: Callable[[Job, Piece], Row]) -> int:
    """Do each piece of the job in `sys.argv`, and print a row for it; return the exit code."""
    job, say = Job(**json.loads(sys.argv[1])), speaker()
    end = time.monotonic() + job.seconds
    with _limited(job, end):
        reason = refusal(job.framework, job.device)
    if reason:
        say(left_out=reason)
        return 0
    for piece in job.pieces:
        if time.monotonic() >= end:
            say(row=job.about(piece) | {"left_out": NO_TIME})
            continue
        say(doing=f"{job.framework}: {', '.join(map(str, piece.values()))}")
        with _limited(job, end):
            row = do(job, piece)
        say(row=job.about(piece) | row)
    return 0


@contextmanager
def _limited(job: Job, end: float) -> Iterator[None]:
    """End the process if the block takes too long."""
    limit = max(1.0, min(job.each, end - time.monotonic() + GRACE))
    faulthandler.dump_traceback_later(limit, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
