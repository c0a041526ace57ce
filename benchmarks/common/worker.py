"""A worker process: it times a framework's contestants, or measures one's peak memory.

    python -m benchmarks.common.worker JOB

JOB is JSON. Results go to standard output at once, one line of JSON each; what the frameworks print
goes to standard error.
"""

import gc
import json
import math
import os
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from itertools import groupby
from typing import Any

from benchmarks.common import machine
from benchmarks.common.cases import Case
from benchmarks.common.contestants import Contestant, line_up
from benchmarks.common.timing import Epoch, Timing, interleave, spread

MICRO = 1e6
Say = Callable[..., None]


@dataclass(frozen=True)
class Job:
    """The work of one process.

    `memory_of` names the contestant whose memory is measured; "" times all contestants.
    """

    framework: str
    cases: list[Case]
    kernels: list[str]
    threads: int
    repeats: int
    least: float  # seconds that one repeat times at least
    by_hand: bool  # time the peers as well
    memory_of: str = ""

    def text(self) -> str:
        """Return the job as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: str) -> "Job":
        """Read a job from JSON."""
        values = json.loads(text)
        return cls(**values | {"cases": [Case(**case) for case in values["cases"]]})

    def groups(self) -> list[list[Contestant]]:
        """Return the contestants of each network, which are timed in turn."""
        networks = groupby(self.cases, key=lambda case: (case.size, case.cell))
        return [
            line_up(self.framework, list(cases), self.kernels, self.threads, self.by_hand)
            for _, cases in networks
        ]


def main() -> int:
    """Carry out the job in `sys.argv`; return the exit code."""
    job = Job.read(sys.argv[1])
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(**message: Any) -> None:
        print(json.dumps(message), file=out, flush=True)

    for group in job.groups():
        if job.memory_of:
            [chosen] = [each for each in group if each.name == job.memory_of]
            say(memory=peak_memory(chosen))
        else:
            time_group(job, group, say)
            forget()
    return 0


def forget() -> None:
    """Free a network and PyTorch's compiled code, so that each network is compiled as if alone.

    After a second shape PyTorch would compile for any shape, and after some more not at all.
    """
    gc.collect()
    if "torch" in sys.modules:
        sys.modules["torch"].compiler.reset()


def peak_memory(contestant: Contestant) -> int:
    """Return the bytes that building and two epochs take, beyond the memory of the imports."""
    build = contestant.load()
    before = machine.peak_memory()
    epoch = build(contestant.case)
    epoch()
    epoch()
    return machine.peak_memory() - before


def time_group(job: Job, group: list[Contestant], say: Say) -> None:
    """Time the contestants of one network, and print a row for each."""
    product = Timing(machine.matrix_product)
    timings = {each.name: Timing(_loaded(each)) for each in group}
    case = group[0].case
    where = f"{job.framework}, {case.size}, {case.cell}"
    interleave(
        {"matrix product": product} | timings,
        job.repeats,
        job.least,
        lambda text: say(doing=f"{where}: {text}"),
        lambda: machine.use_threads(job.threads),
    )
    speed = machine.OPERATIONS / spread(product.seconds).median
    for each in group:
        say(row=_row(job.framework, each, timings[each.name], speed))


def _loaded(contestant: Contestant) -> Callable[[], Epoch]:
    """Do the imports now; raise their exception when the contestant is built."""
    try:
        return partial(contestant.load(), contestant.case)
    except Exception as error:
        return partial(_fail, error)


def _fail(error: Exception) -> Epoch:
    raise error


def _row(framework: str, of: Contestant, timing: Timing, speed: float) -> dict[str, Any]:
    """Return a contestant's row; `speed` is the matrix product's, in operations per second."""
    case = of.case
    row = {"framework": framework, "label": of.label, "name": of.name, "ours": of.ours}
    row |= {"best_of": of.best_of, "error": timing.error, **case.facts()}
    if timing.error or not timing.seconds:
        return row
    per_step = spread(timing.seconds).scaled(MICRO / (case.steps * case.replicas))
    row["us"] = per_step  # per training step and replica
    row["epoch_s"] = timing.seconds
    row["epochs_per_repeat"] = timing.calls
    row["first_epoch_s"] = timing.first_s if math.isfinite(timing.first_s) else None
    row["gflops"] = case.operations / per_step["median"] / 1e3
    row["matrix_gflops"] = speed / 1e9
    row["fraction"] = row["gflops"] / row["matrix_gflops"]
    return row


if __name__ == "__main__":
    sys.exit(main())
