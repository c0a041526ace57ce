"""What tells one run from another, besides its settings."""

from dataclasses import dataclass, field
from pathlib import Path

from harness.system.peak_memory import Resident


@dataclass(frozen=True, kw_only=True)
class Identity:
    """A run's name, its directory and the sweep that it is part of."""

    name: str
    directory: Path
    overrides: list[str]  # as typed, for the command that repeats the run
    parent: Path | None = None  # directory of the sweep
    shows_progress: bool = True
    is_followed: bool = False  # with its sweep, by whoever writes that to MLflow
    together: int | None = None  # replicas of the program that it shares with others, if it does
    before: Resident | None = None  # memory of the process before the data were drawn
    tags: dict[str, str] = field(default_factory=dict[str, str])  # besides those of every run
    files: tuple[str, ...] = ()  # besides those of every run, which are in its directory already
