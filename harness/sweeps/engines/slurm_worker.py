"""A unit as a task of a Slurm array, which nobody waits for: the last one ends the sweep's record.

It loads no MLflow: `harness sync` sends the journals when somebody asks for them. A cancelled task
gets SIGTERM, and one whose time is over SIGUSR2: either closes its runs as KILLED.
"""

import logging
import os
import signal
import sys
from pathlib import Path

from filelock import FileLock

from harness.config.compose import tell_own_folders
from harness.core.file_names import PARENT_LOCK
from harness.sweeps.end import end_record
from harness.sweeps.jobs import FailedFast
from harness.sweeps.sweep import Sweep
from harness.sweeps.units import WorkUnit
from harness.sweeps.work import carry_out_unit
from harness.system import signals
from harness.system.processor import share_cores
from harness.tracking.job_outcomes import jobs, status_of
from harness.tracking.journal import end_of, read


def work(unit: WorkUnit, folder: str, resumed: int, cores: int) -> None:
    """Carry out a unit in the program's working directory, on so many `cores`.

    Nothing is done if the sweep was resumed more than `resumed` times: then others have its jobs.
    """
    os.chdir(folder)
    share_cores(cores)
    sweep = Path(unit.sweep.directory)
    if times_resumed(sweep) > resumed:
        return
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s", force=True)
    tell_own_folders(unit.sweep.own_folders)
    signals.install()
    signal.signal(signal.SIGUSR2, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    stopped = False
    try:
        carry_out_unit(unit)
    except FailedFast:
        stopped = True
    except KeyboardInterrupt:
        return
    _end_if_last(unit.sweep, stopped)


def times_resumed(sweep: Path) -> int:
    """Return how often somebody has gone on with a sweep."""
    return sum(event["kind"] == "resumed" for event in read(sweep))


def _end_if_last(sweep: Sweep, stopped: bool) -> None:
    directory = Path(sweep.directory)
    with FileLock(directory / PARENT_LOCK):
        outcomes = jobs(directory)
        all_ended = len(outcomes) == sweep.total and all(job.status != "LOST" for job in outcomes)
        if end_of(directory) is None and (all_ended or stopped):
            end_record(sweep, status_of(outcomes, sweep.total), outcomes)
