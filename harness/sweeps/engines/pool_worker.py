"""A worker process of a sweep: it carries out units, one after the other.

It loads no MLflow: the sweep's program follows the journals. A stop reaches it as SIGTERM from the
program, and it closes its runs as KILLED. It does not outlive the program.
"""

import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from harness.config.compose import tell_own_folders
from harness.console.log_lines import LogLines
from harness.sweeps.jobs import FailedFast
from harness.sweeps.units import WorkUnit
from harness.sweeps.work import Losses, carry_out_unit
from harness.system import signals
from harness.system.gpu import VISIBLE
from harness.system.processor import share_cores

STOPPED = 128 + signal.SIGTERM  # exit code of a worker that was asked to stop
GRACE = 60.0  # seconds in which a worker whose program has died closes its runs


def begin(gpus: Sequence[str], folder: str, cores: int) -> None:
    """Prepare the process, before its first unit and before any framework is imported.

    `gpus` has the GPU of each worker, or nothing where none is used; locks in `folder` say which
    are taken. The worker may keep so many `cores` busy.
    """
    share_cores(cores)
    if gpus:
        os.environ[VISIBLE] = gpus[_free_slot(len(gpus), Path(folder))]
    signals.ignore(signals.TERMINALS)  # Ctrl-C reaches all processes of a terminal
    threading.Thread(target=_end_with_parent, daemon=True).start()
    handler = LogLines(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    limit_logs()


def limit_logs() -> None:
    """Leave out what the program's own log leaves out, see conf/hydra/job_logging."""
    for name in ("jax", "matplotlib"):
        logging.getLogger(name).setLevel(logging.WARNING)


_slot: list[FileLock] = []  # held until the process ends, however it does


def _free_slot(count: int, folder: Path) -> int:
    """Take a slot that no living worker has, and return its number."""
    while True:
        for number in range(count):
            lock = FileLock(folder / f"slot-{number}.lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            _slot.append(lock)
            return number
        time.sleep(0.1)  # one that was killed is only just ending


def work(unit: WorkUnit) -> Losses:
    """Carry out a unit. The process ends if it is asked to stop. Raises `FailedFast`."""
    tell_own_folders(unit.sweep.own_folders)
    signals.install()
    signals.ignore(signals.TERMINALS)
    try:
        return carry_out_unit(unit)
    except FailedFast:
        raise
    except KeyboardInterrupt:
        os._exit(STOPPED)  # its runs are closed
    finally:
        signal.signal(signal.SIGTERM, _exit)


def _exit(*_: object) -> None:
    os._exit(STOPPED)  # between two units there is nothing to close


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(1)
