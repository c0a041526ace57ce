"""Find the journals that a command line names."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from harness.console.command_line import counted
from harness.core.errors import ConfigError
from harness.core.file_names import CHECKPOINTS, FETCHED, JOURNAL, PLOTS, WEIGHTS
from harness.tracking.journal import BEGINNINGS, Event, first
from harness.tracking.launched_jobs import LaunchedJob, linked_jobs

WITHOUT_RUNS = {CHECKPOINTS, FETCHED, PLOTS, WEIGHTS, ".hydra", "artifacts", "cache"}  # folders


def journals(words: Sequence[str], results: Path) -> list[Path]:
    """Return the directories with journals that the words name, each once; by default all.

    A word is a directory, or the name of one in the results. What is below it counts, too, and the
    runs that a sweep links to. Raises `ConfigError` for a word that names none.
    """
    directories: dict[Path, None] = {}
    for word in words or [str(results)]:
        below = journals_below(_named(word, results))
        if not below:
            raise ConfigError(f"{word}: no run is there: no {JOURNAL} in it or below it.")
        directories |= dict.fromkeys(below)
    return sorted(directories)


def journals_below(top: Path) -> list[Path]:
    """Return the runs and sweeps in a folder, with the runs that the sweeps link to, each once."""
    below = [path.resolve() for path in _below(top)]
    linked = (job.folder for d in below if is_sweep(d) for job in _linked_jobs(d))
    there = (folder.resolve() for folder in linked if (folder / JOURNAL).is_file())
    return sorted({*below, *there})


def _linked_jobs(sweep: Path) -> list[LaunchedJob]:
    try:
        return linked_jobs(sweep)
    except ConfigError:  # told by whoever reads on
        return []


def in_order(directories: Iterable[Path]) -> list[Path]:
    """Return runs by the times at which they began, then sweeps, which refer to their jobs."""
    return sorted(directories, key=lambda d: (is_sweep(d), _begin(d).get("time", 0)))


def described(directories: Sequence[Path]) -> str:
    """Return how many runs and sweeps there are, such as `3 runs and 1 sweep`."""
    sweeps = sum(1 for directory in directories if is_sweep(directory))
    counts = [(len(directories) - sweeps, "run"), (sweeps, "sweep")]
    return " and ".join(counted(number, name) for number, name in counts if number) or "no runs"


def is_sweep(directory: Path) -> bool:
    """Return whether the journal in a directory is that of a sweep."""
    return _begin(directory).get("kind") == "sweep"


def _begin(directory: Path) -> Event:
    try:
        return first(directory, BEGINNINGS) or {}
    except ConfigError:  # told by whoever reads on
        return {}


def _named(word: str, results: Path) -> Path:
    places = (Path(word), results / "runs" / word, results / "multirun" / word)
    for place in places:
        if word and place.is_dir():
            return place
    kept = f"{results / 'runs'} or {results / 'multirun'}"
    raise ConfigError(f"{word or 'RUN_OR_FOLDER'}: there is no such directory, here or in {kept}.")


def _below(top: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(top):
        folders[:] = [name for name in folders if name not in WITHOUT_RUNS]
        if JOURNAL in files:
            yield Path(folder)
