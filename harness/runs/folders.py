"""Folders of runs, sweeps and reports: a process claims each before it writes into it.

A run's files have names that any file may have. So a folder is claimed only if it holds none of
them, and its journal, which the process creates exclusively, keeps every other process out. A run
that is refused before it has begun removes what it has made, and nothing else.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from harness.config.overrides import key_of
from harness.core.errors import ConfigError
from harness.core.file_names import (
    CHECKPOINTS,
    CONFIG,
    FETCHED,
    GIVEN,
    JOURNAL,
    NETWORK,
    PARAMETERS,
    PARENT_LOCK,
    PLOTS,
    PREDICTIONS,
    SENT,
    SENT_LOCK,
    STUDY,
    TRACEBACK,
    WEIGHTS,
)
from harness.system.own_files import keep, make_folder, note_files, note_folder, take_back

# Everything at the top of a run's folder: the harness's files, and those that Hydra writes first.
JOB_NAMES = (
    *(CHECKPOINTS, CONFIG, *GIVEN, JOURNAL, NETWORK, PARAMETERS, PLOTS),
    *(PREDICTIONS, FETCHED, SENT, SENT_LOCK, TRACEBACK, WEIGHTS),
)
RUN_NAMES = (*JOB_NAMES, ".hydra", "run.log")
# In a sweep's folder, besides its jobs.
SWEEP_NAMES = (JOURNAL, "multirun.yaml", PARENT_LOCK, SENT, SENT_LOCK, STUDY)
HYDRA_FILES = ("config.yaml", "hydra.yaml", "overrides.yaml")  # in .hydra

_claims: list[Path] = []  # folders of single runs


class FolderTaken(ConfigError):
    """The folder holds a run, or files that a run would overwrite."""


def claim_run(folder: Path, key: str) -> None:
    """Claim `folder` for one run; `key` is the setting that decides its place, for messages.

    Raises `FolderTaken`, also where another process claims it at the same time, and `ConfigError`
    where it cannot be created.
    """
    _claim(folder, key, RUN_NAMES)
    note_files(folder / "run.log", *(folder / ".hydra" / name for name in HYDRA_FILES))
    note_folder(folder / ".hydra")
    _claims.append(folder.absolute())


def claim_job(folder: Path, key: str) -> None:
    """Claim `folder`, which Hydra has created, for one job of a sweep; see `claim_run`."""
    _claim(folder, key, JOB_NAMES)


def claim_sweep(folder: Path, key: str) -> None:
    """Claim `folder` for one sweep; see `claim_run`."""
    _claim(folder, key, SWEEP_NAMES)
    note_files(folder / "multirun.yaml", folder / PARENT_LOCK, folder / STUDY)


def is_only_claimed(folder: Path) -> bool:
    """Return whether `folder` is claimed for a run that has not begun: its process may be dead."""
    journal = folder / JOURNAL
    return journal.exists() and journal.stat().st_size == 0


def check_not_begun(folder: Path) -> None:
    """Raise `FolderTaken` where a run has begun in `folder`, also if this process claimed it."""
    journal = folder / JOURNAL
    if journal.exists() and journal.stat().st_size:
        raise FolderTaken(
            f"{relative_to_cwd(folder)}: this folder holds a run already; choose another."
        )


def release_claims() -> None:
    """Remove the folders that this process claimed for runs which have not begun; keep others."""
    while _claims:
        folder = _claims.pop()
        if is_only_claimed(folder):
            take_back(folder)
        keep(folder)


def _claim(folder: Path, key: str, names: tuple[str, ...]) -> None:
    check_free(folder, key, names)
    try:
        make_folder(folder)
        os.close(os.open(folder / JOURNAL, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except FileExistsError:
        raise _taken(folder, key, JOURNAL) from None
    except OSError as error:
        raise ConfigError(cannot_write(error, key)) from error
    note_files(folder / JOURNAL)


def check_free(folder: Path, key: str, names: tuple[str, ...] = RUN_NAMES) -> None:
    """Raise `FolderTaken` where `folder` holds a file of one of `names`."""
    for name in names:
        if os.path.lexists(folder / name):
            first = JOURNAL if (folder / JOURNAL).exists() else name
            raise _taken(folder, key, first)


def _taken(folder: Path, key: str, name: str) -> FolderTaken:
    if name != JOURNAL:
        reason = f"this folder has a file {name}, which would be written over"
    else:
        reason = "this folder holds a run or a sweep already"
    if key == "hydra.sweep.subdir":
        remedy = "give each job a folder of its own, such as with ${hydra.job.num}"
    else:
        remedy = f"choose another, such as {key}={relative_to_cwd(first_free(folder.absolute()))}"
    return FolderTaken(f"{key}={relative_to_cwd(folder)}: {reason}; {remedy}.")


def first_free(folder: Path) -> Path:
    """Return `folder`, or the first of folder-2, folder-3, … where that exists."""
    number, candidate = 1, folder
    while os.path.lexists(candidate):
        number += 1
        candidate = folder.with_name(f"{folder.name}-{number}")
    return candidate


def relative_to_cwd(path: Path) -> str:
    """Return `path`, relative to the current directory where it is below it: shorter to type."""
    current = Path.cwd()
    return str(path.relative_to(current)) if path.is_relative_to(current) else str(path)


def folder_key(typed: Sequence[str], hydra_key: str) -> str:
    """Return the key that decides where a folder is: `hydra_key` if it was typed, or `results`."""
    return hydra_key if hydra_key in map(key_of, typed) else "results"


def cannot_write(error: OSError, key: str = "results") -> str:
    """Return the message for a folder that cannot be created; `key` decides its place."""
    return f"{key}: cannot write there ({error}); choose another with {key}=FOLDER."


@contextmanager
def new_folder(folder: Path) -> Iterator[None]:
    """Create `folder`, below the results, before work whose outcome is written there.

    Where the work raises an exception and has left nothing in the folder, it is removed again.
    Raises `ConfigError` where it cannot be created, and `FolderTaken` where it exists.
    """
    try:
        new = make_folder(folder)
    except OSError as error:
        raise ConfigError(cannot_write(error)) from error
    if not new:
        raise FolderTaken(
            f"{relative_to_cwd(folder)}: is in use by another process; type the command again."
        )
    try:
        yield
    except BaseException:
        take_back(folder)
        raise
