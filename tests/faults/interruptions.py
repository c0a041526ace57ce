"""A sweep that is interrupted ten times at random moments, and gone on with each time.

In the end it has to be the one that was never stopped. A moment is a number of seconds after the
program has begun with the sweep, of epochs that it has trained, or of other lines in its journals;
it comes before so many epochs that the sweep would end too early. The last one is in its end.
"""

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.faults.compare import JOURNAL, Journal, compare, read
from tests.faults.fault import Fault
from tests.faults.sweep_results import (
    JobResult,
    Trials,
    differences,
    results_of,
    tracked,
    tracking_problems,
    trials_in,
)
from tests.faults.trial import LIMIT, Program, Trial, Words, epochs

TIMES = 10
JOBS = 12
EPOCHS = 300
MOST = JOBS * EPOCHS // (TIMES + 4)  # epochs between two interruptions
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
COMMON = ("-m", epochs(EPOCHS), "task.samples=200", "trainer.keep_checkpoints=null", "threads=1")
KINDS: dict[str, Words] = {
    "sweep": (*COMMON, "model=rnn,lstm", "optimizer.lr=0.01,0.003", "seed=range(3)"),
    "search": (
        *(*COMMON, "hydra/sweeper=optuna", f"hydra.sweeper.trials={JOBS}"),
        *("hydra.sweeper.batch=4", "model=rnn,lstm"),
        "optimizer.lr=tag(log,interval(1e-3,1e-1))",
    ),
}
NAMES = {"sweep": f"a sweep of {JOBS} jobs", "search": f"a search of {JOBS} trials"}


def interrupt(kind: str, workers: int, trial: Trial) -> None:
    """Interrupt a sweep ten times and go on with it; compare it with one that was never stopped."""
    never_stopped(kind)  # before anything else is running
    how = f"hydra.launcher.workers={workers}"
    times = sum(stop(trial, go_on(trial, kind, how), i == TIMES - 1) for i in range(TIMES))
    if times < TIMES:
        trial.problems.append(f"it was interrupted {times} times")
    trial.finish(go_on(trial, kind, how), 0)
    trial.expect(JOBS + 1)
    trial.sync()
    check(trial, kind)
    trial.check_processes(LIMIT)


def stop(trial: Trial, program: Program, is_last: bool) -> bool:
    """Stop a program at a random moment; return whether it was running."""
    number = trial.random.choice(SIGNALS)
    if number is not signal.SIGKILL:  # before, Python itself ends, and there is nothing to close
        begun = beginnings(trial)
        program.wait_until(lambda: beginnings(trial) > begun)
    program.wait_until(moment(trial, program, is_last))
    is_running = program.process.poll() is None
    with suppress(ProcessLookupError):  # it has ended
        os.killpg(program.process.pid, number)
    trial.finish(program, 0, 128 + number, -number)  # 0: it was about to end
    return is_running


def check(trial: Trial, kind: str) -> None:
    """Compare the sweep with its journals in MLflow, and with one that was never stopped."""
    whole, trials = never_stopped(kind)
    trial.comparison = compare(trial.folder / trial.results, trial.uri())
    trial.problems += trial.comparison.problems
    [sweep] = sweeps(trial)
    trial.problems += differences(whole, results_of(sweep.directory))
    trial.problems += tracking_problems(tracked(trial.uri()), [job.name for job in whole.values()])
    if kind == "search" and trials_in(sweep.directory) != trials:
        trial.problems.append(f"trials: {trials_in(sweep.directory)} instead of {trials}")


def go_on(trial: Trial, kind: str, how: str) -> Program:
    """Start the sweep, or go on with it if its journal has begun."""
    begun = sweeps(trial)
    if not begun:
        return trial.train(*KINDS[kind], how)
    name = trial.random.choice(["last", str(begun[-1].directory)])
    return trial.start("-m", f"sweep.resume={name}", how)


def sweeps(trial: Trial) -> list[Journal]:
    """Return the journals of sweeps that have begun."""
    folder = trial.folder / trial.results / "multirun"
    found = [read(path.parent) for path in folder.glob(f"*/{JOURNAL}")]
    return [journal for journal in found if journal.all("sweep")]


def beginnings(trial: Trial) -> int:
    """Return how often a program has begun with the sweep or gone on with it."""
    return sum(len(journal.all("sweep") + journal.all("resumed")) for journal in sweeps(trial))


def moment(trial: Trial, program: Program, is_last: bool) -> Callable[[], bool]:
    """Return whether a random moment has come."""
    if is_last:
        jobs = trial.random.randint(JOBS // 2, JOBS)
        return lambda: finished(trial) >= jobs
    kind, part = trial.random.choice(("seconds", "epochs", "lines")), trial.random.random()
    began, most = time.monotonic(), MOST * part if kind == "epochs" else MOST

    def has_come() -> bool:
        trained = lines(program, b'"state": ')
        others = program.lines() - lines(program, b'"kind": "metrics"')
        seconds = time.monotonic() - began
        return (
            trained >= most
            or (kind == "seconds" and seconds > 1.5 * part)
            or (kind == "lines" and others > 60 * part)
        )

    return has_come


def lines(program: Program, text: bytes) -> int:
    """Return how many lines of a program's journals have a text; trained epochs have a state."""
    return sum((path / JOURNAL).read_bytes().count(text) for path in program.own())


def finished(trial: Trial) -> int:
    """Return how many jobs have finished."""
    runs = (trial.folder / trial.results).glob(f"multirun/*/*/{JOURNAL}")
    return sum(b'"status": "FINISHED"' in path.read_bytes()[-2000:] for path in runs)


@cache
def never_stopped(kind: str) -> tuple[dict[int, JobResult], Trials]:
    """Return the results of a sweep that is left alone, and a search's trials."""
    with TemporaryDirectory() as folder:
        trial = Trial(Path(folder, "never-stopped"), random.Random(0), short=True)
        trial.finish(trial.train(*KINDS[kind], "hydra.launcher.workers=1"), 0)
        assert not trial.problems, trial.problems
        [sweep] = sweeps(trial)
        trials = trials_in(sweep.directory) if kind == "search" else []
        return results_of(sweep.directory), trials


FAULTS = [
    Fault(
        name=f"interruptions-{kind}-{workers}",
        what=f"10 interruptions, {words}, workers={workers}",
        once=partial(interrupt, kind, workers),
        tries=3,
        is_fresh=True,
        settles=True,
    )
    for kind, words in NAMES.items()
    for workers in (1, 2)
]
