"""Check a run or a sweep by its own directory: its journal, its process, its files."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from harness.core.errors import ConfigError
from harness.core.file_names import JOURNAL
from harness.doctor.finding import Finding
from harness.runs.checksums import check_event, recorded_files
from harness.tracking.dead_runs import end_if_dead, is_dead
from harness.tracking.journal import BEGINNINGS, between, first

REFUSED = (*BEGINNINGS, "refused")  # first events of runs, sweeps, and jobs that could not begin


def check_directory(directory: Path) -> Iterator[Finding]:
    """Yield what is wrong with the run or the sweep in a directory."""
    try:
        if first(directory, REFUSED) is None:
            yield Finding(
                path=directory / JOURNAL,
                problem="has no beginning: the run is unknown",
                remedy="restore the file, or move the folder away",
            )
            return
        yield from _damaged_lines(directory)
        if is_dead(directory):
            yield Finding(
                path=directory,
                problem="claims to run, but its process is gone",
                remedy="--fix ends it, as KILLED if its jobs or epochs are incomplete",
                fix=partial(_end, directory),
            )
        yield from _damaged_files(directory)
    except ConfigError as error:
        yield Finding(path=directory / JOURNAL, problem=str(error), remedy="see the message")


def _damaged_lines(directory: Path) -> Iterator[Finding]:
    path, damaged, number = directory / JOURNAL, [], 0
    size = path.stat().st_size
    for number, (event, _) in enumerate(between(directory, 0, size), start=1):
        damaged += [number] if event is None else []
    # A kill cuts a line short, and the next process begins a new one: that line is lost, no more.
    if damaged:
        lines = ", ".join(map(str, damaged[:5])) + (", …" if len(damaged) > 5 else "")
        yield Finding(
            path=path,
            problem=f"{len(damaged)} of {number} lines are damaged ({lines})",
            remedy="their events are lost; restore the file from a copy",
        )


def _damaged_files(directory: Path) -> Iterator[Finding]:
    files = recorded_files(directory, ("file",))  # checkpoints may have been removed since
    for path, event in sorted(files.items()):
        try:
            if not (directory / path).is_file():
                raise ConfigError(f"{directory / path}: is missing.")
            check_event(directory, path, event)
        except (ConfigError, OSError) as error:
            problem = str(error).removeprefix(f"{directory / path}: ")
            yield Finding(
                path=directory / path,
                problem=problem,
                remedy="restore it from MLflow's artifacts or another copy",
            )


def _end(directory: Path) -> str:
    return "ended" if end_if_dead(directory) else "was ended by another process"
