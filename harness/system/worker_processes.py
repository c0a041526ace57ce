"""Worker processes, which leave signals to their parent and end with it.

Ctrl-C reaches every process of a terminal's group, and only the parent handles it. If the parent is
killed, no worker outlives it.
"""

import multiprocessing
import os
import threading
from concurrent.futures import ProcessPoolExecutor

from harness.system import signals
from harness.system.processor import share_cores, usable_cores


def cores(most: int) -> int:
    """Return the number of workers to start: one for each core, and at most `most`."""
    return min(usable_cores(), most)


def processes(count: int) -> ProcessPoolExecutor:
    """Return a pool of `count` new processes, which share the cores.

    They are spawned, not forked: a fork would inherit the locks of this process's threads.
    """
    context, share = multiprocessing.get_context("spawn"), usable_cores() // count
    return ProcessPoolExecutor(count, context, _begin, (share,))


def _begin(cores: int) -> None:
    share_cores(cores)
    signals.ignore(signals.TERMINALS)  # a pool that breaks ends its workers by SIGTERM
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
