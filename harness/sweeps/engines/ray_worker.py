"""A unit as a Ray task. The process loads no MLflow: the sweep's program follows the journals.

A stop reaches it as the interrupt of `ray.cancel`, and it closes its runs as KILLED.
"""

import logging
import os
import platform
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from harness.config.compose import tell_own_folders
from harness.core.errors import ConfigError
from harness.sweeps.engines.pool_worker import limit_logs
from harness.sweeps.engines.shipping import Piece, Shipment, has_files, sending, unpack
from harness.sweeps.jobs import FailedFast
from harness.sweeps.units import WorkUnit
from harness.sweeps.work import Losses, carry_out_unit
from harness.system import signals
from harness.system.processor import share_cores

Send = Callable[[Piece | str], object]


def work(unit: WorkUnit, shipped: Shipment, cores: float, send: Send) -> Losses | str | None:
    """Carry out a unit; return the jobs' losses, or None if the process was asked to stop.

    It may keep so many `cores` busy. `send` gets what the program lacks: files, and as text what is
    logged. A text as result says which job has failed where no other is to go on, since Ray takes a
    `KeyboardInterrupt` for its own. Raises `ConfigError` where the sweep's folder cannot be made on
    this machine.
    """
    _log_to(send)
    share_cores(cores)
    with _stops_installed():
        try:
            shares_files = _enter(unit, shipped)
            tell_own_folders(unit.sweep.own_folders)
            with nullcontext() if shares_files else sending(unit, send):
                return carry_out_unit(unit)
        except FailedFast as error:
            return str(error)
        except KeyboardInterrupt:
            return None


class _Lines(logging.Handler):
    """A handler that sends each line to the program."""

    def __init__(self, send: Send) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(message)s"))
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        """Send the line of a record; what is carried out goes on where it cannot be sent."""
        with suppress(Exception):  # the program sees by itself that tasks are cut off
            self._send(self.format(record))


def _log_to(send: Send) -> None:
    """Send what is logged, in place of Ray's own way, which has its own prefixes and reports."""
    logging.basicConfig(level=logging.INFO, handlers=[_Lines(send)], force=True)
    limit_logs()


def _enter(unit: WorkUnit, shipped: Shipment) -> bool:
    """Work in the program's folder; return whether this machine shares the sweep's files.

    Where it does not, it gets those that the unit needs. Raises `ConfigError`.
    """
    try:
        Path(shipped.folder).mkdir(parents=True, exist_ok=True)
        os.chdir(shipped.folder)
        if has_files(unit, shipped):
            return True
        _check_study(unit)
        unpack(unit, shipped)
        return False
    except OSError as error:
        raise ConfigError(
            f"{unit.sweep.directory}: cannot be made on the Ray node {platform.node()} ({error}); "
            "start the sweep in a folder that all nodes share or can make."
        ) from error


def _check_study(unit: WorkUnit) -> None:
    """Raise `ConfigError` for a study that this machine cannot ask which trials are pruned."""
    search = unit.sweep.search
    if search is not None and search.prunes and "://" not in (search.storage or ""):
        raise ConfigError(
            f"hydra.sweeper.pruner={search.pruner}: the Ray node {platform.node()} does not share "
            f"the study's file {search.storage}; use a database as hydra.sweeper.storage."
        )


@contextmanager
def _stops_installed() -> Iterator[None]:
    """Let stops close runs; afterwards they mean to Ray's worker what they meant before."""
    before = {number: signal.getsignal(number) for number in signals.SIGNALS}
    signals.install()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
