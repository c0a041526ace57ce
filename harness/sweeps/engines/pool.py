"""The engine of `hydra/launcher=batched`: worker processes on this machine.

Pebble's pool survives a worker that is killed and says which unit it had; those of the standard
library and of joblib give up all that is pending. Processes are spawned: a fork of a program that
has loaded JAX or Keras hangs.
"""

import multiprocessing
import os
import signal
import time
from collections.abc import Sequence
from concurrent.futures import Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from tempfile import TemporaryDirectory

from pebble import CONSTS, ProcessExpired, ProcessPool

from harness.sweeps.engines import pool_worker
from harness.sweeps.units import WorkUnit
from harness.sweeps.work import Losses
from harness.system import signals
from harness.system.processor import usable_cores

GRACE = 30.0  # seconds in which workers close their runs after a stop


class Pool:
    """A pool of `workers` processes, which are started when the first unit is submitted.

    They are spread over `gpus`, if there are any.
    """

    def __init__(self, workers: int, gpus: Sequence[str] = ()) -> None:
        CONSTS.term_timeout = GRACE  # of a worker, between SIGTERM and SIGKILL
        self.slots = workers
        self._gpus = [gpus[i % len(gpus)] for i in range(workers)] if gpus else []
        self._slots = TemporaryDirectory(prefix="harness-")
        self._futures: set[Future[Losses]] = set()
        self._pool = self._new_pool()

    def _new_pool(self) -> ProcessPool:
        context = multiprocessing.get_context("spawn")
        return ProcessPool(
            self.slots,
            initializer=pool_worker.begin,
            initargs=(self._gpus, self._slots.name, usable_cores() // self.slots),
            context=context,
        )

    def submit(self, unit: WorkUnit) -> "Future[Losses]":
        """Let a worker carry out a unit."""
        try:
            future = self._scheduled(unit)
        except RuntimeError:  # it is broken: a worker died that had no unit
            self._pool.stop()
            self._pool.join()
            self._pool = self._new_pool()
            future = self._scheduled(unit)
        self._futures.add(future)
        future.add_done_callback(self._futures.discard)
        return future

    def _scheduled(self, unit: WorkUnit) -> "Future[Losses]":
        with signals.blocked_in_children():  # the first unit starts the workers
            return self._pool.schedule(pool_worker.work, args=[unit])

    @staticmethod
    def how_it_died(error: BaseException) -> str | None:
        """Return how a worker ended from what its unit's future raises; None if it did not end."""
        if isinstance(error, BrokenProcessPool):
            return "has ended before it began with them"
        if not isinstance(error, ProcessExpired):
            return None
        code = error.exitcode or 0
        if code == -signal.SIGKILL:
            return "was killed by SIGKILL, which is how Linux frees memory when it runs out"
        if code == pool_worker.STOPPED:
            return "was asked to stop, but not by the sweep"
        if code < 0:
            return f"was killed by {signal.Signals(-code).name}"
        return f"has ended with exit code {code}"

    def stop(self) -> None:
        """Let the workers close their runs, and end; those that do not are killed."""
        running = [future for future in self._futures if future.running()]
        for future in self._futures - set(running):
            future.cancel()
        told: set[int] = set()
        limit = time.monotonic() + GRACE
        while time.monotonic() < limit:
            for process in multiprocessing.active_children():
                if process.pid is not None and process.pid not in told:
                    told.add(process.pid)
                    with suppress(ProcessLookupError):
                        os.kill(process.pid, signal.SIGTERM)
            if not wait(running, timeout=0.2).not_done:
                break
        self._pool.stop()
        self._pool.join()
        self._slots.cleanup()

    def close(self) -> None:
        """End the workers, which are idle."""
        self._pool.close()
        self._pool.join()
        self._slots.cleanup()
