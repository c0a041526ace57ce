"""A database, a run's folder or all results that become read-only.

Root may write whatever permissions say, so files are made immutable (`chattr +i`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.faults.disk import RUN, database, is_begun
from tests.faults.fault import Fault
from tests.faults.mounts import call, missing
from tests.faults.server import check_wait
from tests.faults.trial import EPOCHS, LINES, WAIT, Trial, epochs


@contextmanager
def immutable(path: Path) -> Iterator[None]:
    call("chattr", "+i", path)
    try:
        yield
    finally:
        call("chattr", "-i", path)


def from_the_start(what: str, trial: Trial) -> None:
    """A program that could not write is refused in a few lines, and the next one is as ever."""
    trial.finish(trial.train(*RUN), 0)
    trial.sync()
    path = database(trial) if what == "database" else trial.folder / trial.results / "runs"
    with immutable(path):
        refused = trial.train(*RUN)
        said = trial.finish(refused, 2)
        if len(said.splitlines()) > 1 or refused.own():
            trial.say(refused, "more than a line, or a run")
    trial.finish(trial.train(*RUN), 0)
    trial.expect(2)
    trial.settle()


def meanwhile(what: str, trial: Trial) -> None:
    """Make the database or the run's folder read-only while it trains."""
    program = trial.train(epochs(10 * EPOCHS))
    trial.wait_until(lambda: is_begun(trial, program))
    [run] = program.own()
    with immutable(database(trial) if what == "database" else run):
        said = trial.finish(program, 0, 1)
        check_wait(trial, program, WAIT)
        if len(said.splitlines()) > LINES + 10:
            trial.say(program, f"{len(said.splitlines())} lines")
        trial.sync(codes=(0, 1))
    trial.expect(1)
    for journal in trial.found():
        trial.complete(journal)
    trial.settle()


FAULTS = [
    Fault(
        name=f"read-only-{what}-{name}",
        what=f"{words} read-only, {when}",
        once=partial(once, what),
        tries=3,
        is_fresh=True,
        settles=True,
        needs=partial(missing, "chattr"),
    )
    for what, words in (("database", "database"), ("folder", "folder of the runs"))
    for name, when, once in (
        ("start", "from the start", from_the_start),
        ("middle", "while it trains", meanwhile),
    )
]
