"""Carry out a job in a worker process, and in another one where a piece took that process along."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from benchmarks.common.processes import messages
from benchmarks.gpu.job import NO_TIME, Job, Piece, Row

Say = Callable[[str, str], None]
Save = Callable[[Row], None]

NEARLY = 1.0  # second: a worker's limit begins before it is heard of


def carry_out(job: Job, module: str, scratch: Path, say: Say, save: Save) -> None:
    """Pass the row of each piece to `save` as soon as it is done; `module` is the worker."""
    end, left = time.monotonic() + job.seconds, list(job.pieces)
    while left:
        seconds = end - time.monotonic()
        if seconds <= 0:  # where each process dies as it starts, none would say so
            for piece in left:
                save(job.about(piece) | {"left_out": NO_TIME})
            return
        now = replace(job, pieces=left, seconds=seconds)
        left = _in_one_process(now, module, scratch, say, save)


def _in_one_process(job: Job, module: str, scratch: Path, say: Say, save: Save) -> list[Piece]:
    """Return the pieces that are left where the process died."""
    left, began = list(job.pieces), time.monotonic()
    for message in messages(job, scratch, module, job.device):
        if "doing" in message:
            where, _, what = message["doing"].partition(": ")
            say(where, what)
            began = time.monotonic()
        elif "row" in message:
            save(message["row"])
            left.pop(0)
        elif "left_out" in message:
            save({"framework": job.framework, "left_out": message["left_out"]})
            return []
        elif left:
            dead = left.pop(0)
            save(job.about(dead) | _death(job, time.monotonic() - began, message["died"]))
            return [piece for piece in left if _kind(piece) != _kind(dead)]
    return []


def _death(job: Job, seconds: float, reason: str) -> Row:
    """Return whether a process was ended since its piece took too long, or broke by itself."""
    if seconds > min(job.each, job.seconds) - NEARLY:
        return {"left_out": f"took more than {seconds:.0f} s"}
    return {"error": reason}


def _kind(piece: Piece) -> Piece:
    """Return a piece without its number of replicas: a larger one would die, too."""
    return {name: value for name, value in piece.items() if name != "replicas"}
