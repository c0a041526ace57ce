"""Signals that end a program, and output that cannot be written."""

import os
import signal
import subprocess
import time
from contextlib import suppress
from functools import partial
from typing import Any

from tests.faults.fault import Fault
from tests.faults.trial import EPOCHS, LINES, Program, Trial, Words, epochs

LONG = epochs(10 * EPOCHS)  # longer than until the signal
KINDS: dict[str, Words] = {
    "run": (LONG,),
    "batched": ("-m", LONG, "seed=0,1"),
    "basic": ("-m", LONG, "seed=0,1", "hydra/launcher=basic"),
}


def send(number: signal.Signals, times: int, kind: str, trial: Trial) -> None:
    """Send a signal to the process group, as a terminal does, at a random moment of training."""
    program = trial.train(*KINDS[kind])
    lines = 40 if trial.short else trial.random.randrange(10, 2 * EPOCHS)
    program.wait_until(lambda: program.lines() >= lines)
    for turn in range(times):
        time.sleep(1.2 * bool(turn))  # within a second it would be the same one again
        with suppress(ProcessLookupError):  # it has ended
            os.killpg(program.process.pid, number)
    said = trial.finish(program, 128 + number)
    check_end(trial, program, said)


def check_end(trial: Trial, program: Program, said: str) -> None:
    own = [journal for journal in trial.found() if journal.directory in program.own()]
    ends = {journal.end.get("status") for journal in own if journal.start}
    if ends != {"KILLED"}:
        trial.say(program, f"ends in the journals: {ends}")
    if len(said.splitlines()) > LINES + 10:  # a sweep shows its table, too
        trial.say(program, f"{len(said.splitlines())} lines")


def close_output(how: str, trial: Trial) -> None:
    """Train with output that cannot be written; the run must be as ever."""
    words = (epochs(EPOCHS), "trainer.checkpoint_every=100")
    if how == "head":
        program = trial.train(*words, stdout=subprocess.PIPE)
        assert program.process.stdout is not None
        program.process.stdout.read(1)
        program.process.stdout.close()
    elif how == "full":
        with open("/dev/full", "wb") as full:
            program = trial.train(*words, stdout=full, stderr=full)
    else:
        numbers = {"no-error": (2,), "no-output": (1,), "no-streams": (0, 1, 2)}[how]
        close: dict[str, Any] = {"stdin": None, "stderr": None}
        program = trial.train(*words, **close, preexec_fn=partial(_close, numbers))
    trial.finish(program, 0)
    runs = [journal for journal in trial.found() if journal.directory in program.own()]
    if [run.end.get("status") for run in runs] != ["FINISHED"]:
        trial.say(program, "the run is not FINISHED")


def _close(numbers: tuple[int, ...]) -> None:
    for number in numbers:
        os.close(number)


SIGNALS = {
    "term": (signal.SIGTERM, 1, "SIGTERM"),
    "hup": (signal.SIGHUP, 1, "SIGHUP, a closed terminal"),
    "quit": (signal.SIGQUIT, 1, "SIGQUIT"),
    "ctrl-c": (signal.SIGINT, 1, "Ctrl-C"),
    "ctrl-c-twice": (signal.SIGINT, 2, "Ctrl-C twice"),
}
NAMES = {"run": "a run", "batched": "a batched sweep", "basic": "a sweep, hydra/launcher=basic"}
OUTPUTS = {
    "head": "output's reader has gone, as in `\\| head -1`",
    "full": "output and errors to /dev/full",
    "no-error": "errors closed, `2>&-`",
    "no-output": "output closed, `>&-`",
    "no-streams": "input, output and errors closed",
}

FAULTS = [
    Fault(
        name=f"signal-{name}-{kind}",
        what=f"{what}, {words}",
        once=partial(send, number, times, kind),
        tries=8,
        is_short=(name, kind) == ("ctrl-c-twice", "run"),
    )
    for name, (number, times, what) in SIGNALS.items()
    for kind, words in NAMES.items()
]
FAULTS += [
    Fault(name=f"output-{how}", what=what, once=partial(close_output, how))
    for how, what in OUTPUTS.items()
]
