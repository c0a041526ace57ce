"""kill -9 at random moments: of the program, of the reader of its journals, of both, of the group.

A moment is a fraction of the undisturbed program: of its seconds, or of the lines that it writes
into journals, in turns. The second kind finds more moments within training.
"""

import os
import signal
import time
from contextlib import suppress
from functools import partial

import psutil

from tests.faults.fault import Fault
from tests.faults.trial import EPOCHS, Program, Trial, Words, duration, epochs

KINDS: dict[str, Words] = {
    "run": (epochs(EPOCHS),),
    "batched": ("-m", epochs(EPOCHS), "seed=0,1,2"),
    "basic": ("-m", epochs(EPOCHS), "seed=0,1,2", "hydra/launcher=basic"),
}


def wait_for_moment(trial: Trial, program: Program, words: Words) -> None:
    if trial.short:
        program.wait_until(lambda: program.lines() >= 40)
        return
    seconds, lines = duration(words)
    fraction = trial.random.random()
    if trial.random.random() < 0.5:
        moment = time.monotonic() + fraction * seconds
        program.wait_until(lambda: time.monotonic() >= moment)
    else:
        program.wait_until(lambda: program.lines() >= fraction * lines)


def kill(kind: str, victim: str, trial: Trial) -> None:
    """Start a program and kill it, or its reader, or both, or its process group."""
    words = KINDS[kind]
    if not trial.short:
        duration(words)  # measured before anything is running
    program = trial.train(*words)
    wait_for_moment(trial, program, words)
    if victim in ("reader", "both"):
        program.wait_until(program.readers)
        readers = program.readers()
        if victim == "both":
            program.process.kill()
        for reader in readers:
            with suppress(psutil.NoSuchProcess):
                reader.kill()
    elif victim == "program":
        program.process.kill()
    else:
        with suppress(ProcessLookupError):  # it has just ended
            os.killpg(program.process.pid, signal.SIGKILL)
    if victim == "reader":
        trial.finish(program, 0)
    else:
        trial.finish(program, 0, -signal.SIGKILL)
    runs = [journal for journal in trial.found() if journal.directory in program.own()]
    single = [run for run in runs if run.start and "trainer.epochs" in run.start["params"]]
    if single:
        trial.complete(trial.random.choice(single))


WORDS = {
    "program": "kill -9 of the program",
    "reader": "kill -9 of the reader",
    "both": "kill -9 of both",
    "group": "kill -9 of the process group",
}
NAMES = {"run": "a run", "batched": "a batched sweep", "basic": "a sweep, hydra/launcher=basic"}

FAULTS = [
    Fault(
        name=f"kill-{victim}-{kind}",
        what=f"{words}, {NAMES[kind]}",
        once=partial(kill, kind, victim),
        tries=50,
        is_short=(kind, victim) in (("run", "both"), ("batched", "program")),
    )
    for kind in KINDS
    for victim, words in WORDS.items()
]
