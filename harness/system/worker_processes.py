"""Worker processes, which leave signals to their parent and end with it.

Ctrl-C reaches every process of a terminal's group, and only the parent handles it. If the parent is
killed, no worker outlives it.
"""

import multiprocessing
import os
import threading
from concurrent.futures import ProcessPoolExecutor

from harness.system import signals
from harness.system.cores import usable_cores


def cores(most: int) -> int:
    """Return the number of workers to start: one for each core, and at most `most`."""
    return min(usable_cores(), most)


def processes(count: int) -> ProcessPoolExecutor:
    """Return a pool of `count` new processes.

    They are spawned, not forked: a fork would inherit the locks of this process's threads.
    """
    return ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), _begin)


def _begin() -> None:
    signals.ignore(signals.TERMINALS)  # a pool that breaks ends its workers by SIGTERM
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
