"""Send journals to MLflow, one after the other, and count what was sent."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.config.tracking_store import database_of
from harness.core.errors import ConfigError
from harness.tracking import sent
from harness.tracking.dead_runs import end_if_dead
from harness.tracking.destination import Destination
from harness.tracking.follower import Follower
from harness.tracking.journal import end_of, first
from harness.tracking.mlflow_errors import explained
from harness.tracking.mlflow_store import gather_statistics


@dataclass
class Summary:
    """What was done with the journals."""

    written: Counter[str] = field(default_factory=Counter[str])  # runs, sweeps, numbers, files
    stores: set[str] = field(default_factory=set[str])  # that were written to
    complete: list[Path] = field(default_factory=list[Path])  # of which all was there already
    running: list[Path] = field(default_factory=list[Path])  # whose process still runs
    dead: list[Path] = field(default_factory=list[Path])  # whose process was gone: ended here
    nowhere: list[Path] = field(default_factory=list[Path])  # recorded with tracking=journal
    problems: dict[Path, str] = field(default_factory=dict[Path, str])  # why something is missing


def send(directories: Sequence[Path], uri: str | None, done: Callable[[], None]) -> Summary:
    """Send the journals in `directories`, to the store `uri` or each to its own.

    After each one `done` is called. A store that fails is not tried again.
    """
    summary = Summary()
    failed: dict[str, str] = {}  # store -> its failure
    for directory in directories:
        try:
            _send(directory, uri, summary, failed)
        except Exception as error:  # a damaged journal, or whatever a store does
            summary.problems[directory] = explained(error)
        done()
    gather_statistics()
    return summary


def _send(directory: Path, uri: str | None, summary: Summary, failed: dict[str, str]) -> None:
    start = first(directory, ("start",))
    if start is None:  # a job that was refused, or a sweep without jobs
        return
    place = _place(directory, uri)
    if place is None:
        summary.nowhere.append(directory)
        return
    if end_if_dead(directory):
        summary.dead.append(directory)
    if place.uri in failed:
        raise ConfigError(failed[place.uri])
    follower = Follower(directory, place)
    try:
        arrived = follower.advance()
    except ConfigError:
        raise
    except Exception as error:
        failed[place.uri] = explained(error)
        raise
    finally:
        summary.written += follower.written
    if follower.problem:
        summary.problems[directory] = follower.problem
    elif not arrived.complete and end_of(directory) is None:
        summary.running.append(directory)
    elif not follower.written:
        summary.complete.append(directory)
    if follower.written:
        summary.stores.add(place.uri)


def _place(directory: Path, uri: str | None) -> Destination | None:
    own = sent.destination(directory)
    if uri is None:
        return own
    database = database_of(uri)
    if database is not None:
        return Destination(uri, database.parent / "artifacts")
    return Destination(uri, directory / "artifacts" if own is None else own.artifacts)
