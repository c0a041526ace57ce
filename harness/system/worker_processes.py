"""Other processes that work for this one.

Ctrl-C reaches every process of a terminal's group, and is for the first one to handle; if that one
is killed, no worker outlives it.
"""

import multiprocessing
import os
import threading
from concurrent.futures import ProcessPoolExecutor

from harness.system import signals


def cores(most: int) -> int:
    """How many workers there are to be: one for each core, and no more than `most`."""
    return min(os.cpu_count() or 1, most)


def processes(count: int) -> ProcessPoolExecutor:
    """Started afresh: a copy of this process would have the locks of its threads."""
    return ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), _begin)


def _begin() -> None:
    signals.ignore(signals.TERMINALS)  # a pool that breaks ends its workers by SIGTERM
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
