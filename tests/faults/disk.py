"""Full disks, folders that become read-only, and a database that is locked, deleted or damaged."""

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

from tests.faults.fault import Fault
from tests.faults.mounts import enlarge, memory, missing
from tests.faults.server import check_wait
from tests.faults.trial import EPOCHS, WAIT, Program, Trial, epochs

RUN = (epochs(EPOCHS),)
MOST = 25  # lines of a program whose disk is full: its summary, warnings and one error


def fill(limit: Callable[[Trial], str], trial: Trial) -> None:
    """Train where there is little room, then make room, and complete everything."""
    place = trial.folder / trial.results
    with memory(place, limit(trial)):
        program = trial.train(*RUN)
        said = trial.finish(program, 0, 1, 2)
        check_wait(trial, program, WAIT)
        if len(said.splitlines()) > MOST:
            trial.say(program, f"{len(said.splitlines())} lines")
        enlarge(place)
        for journal in trial.found():
            trial.complete(journal)
        if not trial.found():
            trial.check_processes(120)
            return
        trial.settle()


def bytes_left(trial: Trial) -> str:
    return f"size={48 if trial.short else trial.random.randrange(8, 3000)}k"


def inodes_left(trial: Trial) -> str:
    return f"nr_inodes={20 if trial.short else trial.random.randrange(4, 40)}"


def database(trial: Trial) -> Path:
    return trial.folder / trial.results / "mlflow.db"


def is_begun(trial: Trial, program: Program) -> bool:
    """Return whether the run is in MLflow, and training goes on."""
    return database(trial).exists() and any(
        (path / "mlflow.json").exists() for path in program.own()
    )


def lock(trial: Trial) -> None:
    """Lock the database from before the start of a program."""
    trial.finish(trial.train(*RUN), 0)
    trial.sync()
    with closing(sqlite3.connect(database(trial), timeout=60)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        until = time.monotonic() + (5 if trial.short else 60)
        program = trial.train(*RUN)
        trial.finish(program, 0)
        check_wait(trial, program, WAIT)
        time.sleep(max(0.0, until - time.monotonic()))
        connection.rollback()
    trial.expect(2)
    trial.settle()


def damage(how: str, trial: Trial) -> None:
    """Delete the database, or write over it, while a run is written into it."""
    program = trial.train(epochs(10 * EPOCHS))
    trial.wait_until(lambda: is_begun(trial, program))
    if how == "deleted":
        remove(trial)
    else:
        with database(trial).open("r+b") as file:
            file.write(trial.random.randbytes(1 << 16))
    trial.finish(program, 0)
    check_wait(trial, program, WAIT)
    if how == "garbage":
        said = trial.sync(codes=(1,))
        if "move it away" not in said:
            trial.problems.append(f"sync does not say what to do: {said[-300:]}")
        remove(trial)
    trial.expect(1)
    trial.settle()


def remove(trial: Trial) -> None:
    for ending in ("", "-wal", "-shm"):
        Path(f"{database(trial)}{ending}").unlink(missing_ok=True)


BIG = "random sizes from 8 KB to 3 MB"
FAULTS = [
    Fault(
        name="disk-full",
        what=f"disk full: {BIG}",
        once=partial(fill, bytes_left),
        tries=20,
        is_fresh=True,
        settles=True,
        is_short=True,
        needs=missing,
    ),
    Fault(
        name="disk-inodes",
        what="disk without inodes: room for 4 to 40 files",
        once=partial(fill, inodes_left),
        tries=10,
        is_fresh=True,
        settles=True,
        needs=missing,
    ),
    Fault(
        name="database-locked",
        what="database locked by another program for 60 s",
        once=lock,
        is_fresh=True,
        settles=True,
    ),
    Fault(
        name="database-deleted",
        what="database deleted while it is written",
        once=partial(damage, "deleted"),
        is_fresh=True,
        settles=True,
    ),
    Fault(
        name="database-garbage",
        what="database overwritten with garbage, then moved away",
        once=partial(damage, "garbage"),
        is_fresh=True,
        settles=True,
    ),
]
