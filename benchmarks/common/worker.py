"""A worker process: it times a framework's contestants, or measures one's peak memory.

    python -m benchmarks.common.worker JOB

JOB is JSON. Results go to standard output at once, one line of JSON each; what the frameworks print
goes to standard error.
"""

import gc
import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from itertools import groupby
from typing import Any

from benchmarks.common import machine
from benchmarks.common.cases import Case
from benchmarks.common.contestants import Contestant, Peers, line_up
from benchmarks.common.rows import row_of
from benchmarks.common.timing import Epoch, Timing, interleave

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
    peers: Peers  # what is written by hand
    roofline: bool = True  # time the machine's matrix product and memory copy as well
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
            line_up(self.framework, list(cases), self.kernels, self.threads, self.peers)
            for _, cases in networks
        ]


def main() -> int:
    """Carry out the job in `sys.argv`; return the exit code."""
    job = Job.read(sys.argv[1])
    say = speaker()
    for group in job.groups():
        if job.memory_of:
            [chosen] = [each for each in group if each.name == job.memory_of]
            say(memory=peak_memory(chosen))
        else:
            time_group(job, group, say)
            forget()
    return 0


def speaker() -> Say:
    """Return a function that prints a message; all other output goes to standard error."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(**message: Any) -> None:
        print(json.dumps(message), file=out, flush=True)

    return say


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
    references = {"matrix product": Timing(machine.matrix_product)}
    references["memory copy"] = Timing(machine.memory_copy)
    # That of most replicas first: a framework's threads are fixed by the first of its networks.
    ordered = sorted(group, key=lambda each: -each.case.replicas)
    timings = {each.name: Timing(loaded(each)) for each in ordered}
    case = group[0].case
    where = f"{job.framework}, {case.size}, {case.cell}"
    interleave(
        (references if job.roofline else {}) | timings,
        job.repeats,
        job.least,
        lambda text: say(doing=f"{where}: {text}"),
        lambda: machine.use_threads(job.threads),
    )
    for each in group:
        say(row=row_of(job.framework, each, timings[each.name], *references.values()))


def loaded(contestant: Contestant) -> Callable[[], Epoch]:
    """Do the imports now; raise their exception when the contestant is built."""
    try:
        return partial(contestant.load(), contestant.case)
    except Exception as error:
        return partial(_fail, error)


def _fail(error: Exception) -> Epoch:
    raise error


if __name__ == "__main__":
    sys.exit(main())
