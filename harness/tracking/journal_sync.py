"""The thread that forces the journals of this process to the disk, once a second.

The operating system has each line when it is written, so that a killed process loses none. But it
may keep them in memory for half a minute, and a power cut would lose them. The thread also touches
open journals, so that other machines see from their times that this process lives, also where an
epoch takes long.

A process that is forked has no such thread and no open journals; it begins anew with the first
line that it writes.
"""

import atexit
import logging
import os
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from weakref import WeakKeyDictionary

from harness.system.durable_files import sync_file

log = logging.getLogger(__name__)

SYNC_SECONDS = 1.0
HEARTBEAT_SECONDS = 30.0

_lock = threading.Lock()
_unsynced: set[str] = set()  # paths of journals with lines that may not be on the disk
_open: WeakKeyDictionary[object, str] = (
    WeakKeyDictionary()
)  # journals that are not closed, and their paths
_running = False  # whether this process has the thread


def opened(journal: object, path: str) -> None:
    """Touch a journal from now on, until it is closed or nothing refers to it any more."""
    with _lock:
        _open[journal] = path
    _start()


def closed(journal: object) -> None:
    """Touch a journal no longer."""
    with _lock:
        if journal in _open:
            del _open[journal]


def written(path: str) -> None:
    """Note that a line was written, for the next round of the thread."""
    _unsynced.add(path)
    if not _running:
        _start()


def synced(path: str) -> None:
    """Note that the lines so far are about to be forced to the disk by the caller."""
    _unsynced.discard(path)


def _start() -> None:
    global _running
    with _lock:
        if not _running:
            _running = True
            threading.Thread(target=_work, name="journal-sync", daemon=True).start()


def _work() -> None:
    touched = time.monotonic()
    while True:
        time.sleep(SYNC_SECONDS)
        _sync_written()
        if time.monotonic() - touched >= HEARTBEAT_SECONDS:
            touched = time.monotonic()
            with _lock:
                paths = [path for _, path in _open.items()]
            _touch(paths)


def _touch(paths: Iterable[str]) -> None:
    for path in paths:
        with suppress(OSError):  # a journal that was removed, or that has become read-only
            os.utime(path)


def _sync_written() -> None:
    """Force all journals with new lines to the disk; log those for which it fails."""
    for _ in range(len(_unsynced)):
        try:
            path = _unsynced.pop()
        except KeyError:  # another thread has been quicker
            return
        try:
            sync_file(path)
        except FileNotFoundError:  # the folder was removed or moved
            pass
        except OSError as error:
            log.warning("%s: cannot be forced to the disk (%s)", path, error)


def _forget() -> None:
    """Begin anew in a process that was forked: threads and journals are its parent's."""
    global _lock, _open, _unsynced, _running
    _lock, _running = threading.Lock(), False
    _unsynced, _open = set[str](), WeakKeyDictionary[object, str]()


atexit.register(_sync_written)
if hasattr(os, "register_at_fork"):  # Windows does not fork
    os.register_at_fork(after_in_child=_forget)
