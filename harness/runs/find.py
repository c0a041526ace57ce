"""Find a run by its directory, its folder's name in the results, its MLflow id or its name.

Words are tried in this order, since MLflow takes seconds to answer. Of several runs of one name the
newest counts.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.config.tracking_store import database_of
from harness.core.errors import ConfigError, nearest
from harness.core.file_names import CONFIG, GIVEN, JOURNAL, SENT
from harness.runs.run_folders import folder_named, linked_folder, places
from harness.system.own_files import make_folder, note_files, note_tree
from harness.tracking import sent
from harness.tracking.journal import first
from harness.tracking.mlflow_errors import explained, is_from_mlflow
from harness.tracking.mlflow_store import client, tracking_uri
from harness.tracking.mlflow_writer import ID

if TYPE_CHECKING:
    from harness.tracking.mlflow_reader import TrackedRun


def find_run(
    key: str, word: str, results: Path, uri: str | None, paths: tuple[str, ...], fetched: Path
) -> Path:
    """Return the directory of the run `word`.

    Where the directory is gone, the files and folders `paths` are downloaded from MLflow to
    `fetched`, and `fetched` is returned. `key` is what the user typed before `word`, for messages.
    Raises `ConfigError` where there is no such run, or MLflow lacks one of `paths`.
    """
    if not word:  # Path() would be the current directory
        raise ConfigError(f"{key or 'RUN'}: a run's directory, id or name must be given.")
    folder = Path(word) if Path(word).is_dir() else linked_folder(Path(word))
    folder = folder or folder_named(key, word, results)
    if folder is not None:
        if not (folder / CONFIG).is_file():
            where = "this directory" if folder == Path(word) else str(folder)
            raise ConfigError(f"{key}{word}: {where} holds no run: no config.yaml.")
        return folder.resolve()
    if os.sep in word:
        raise ConfigError(f"{key}{word}: there is no such directory.")
    uri = tracking_uri(uri, results, "tracking.uri" if key else "--uri")
    database = database_of(uri)
    if database is not None and not database.exists():
        raise ConfigError(
            f"{key}{word}: there is no such directory, neither here nor in {places(results)}, and "
            f"no {uri} to find a run in; name a run's directory, or the folder of your results."
        )
    try:
        run = _tracked(key, word, client(uri), places(results, uri))
        return _directory(run, results) or _fetch(key, run, paths, fetched)
    except Exception as error:
        if not is_from_mlflow(error):
            raise
        raise ConfigError(
            f"{key}{word}: MLflow does not answer this: {explained(error)}"
        ) from error


def _directory(run: "TrackedRun", results: Path) -> Path | None:
    """Return the run's own directory, or None if it is gone."""
    directory = directory_of(run.tags, results)
    return None if directory is None or not (directory / CONFIG).is_file() else directory


def directory_of(tags: Mapping[str, str], results: Path) -> Path | None:
    """Return the directory of a run or a sweep by its tags in MLflow, or None if it is gone.

    A tag can name any folder of this machine, and others may write tags. So the folder must hold
    the journal that the run was written from.
    """
    named = tags.get("run_directory")
    if not named:  # results / "" would be the results
        return None
    directory = (results / named).resolve()
    start = first(directory, ("start",))
    return directory if start and tags.get(ID) in (None, start.get("id")) else None


def _tracked(key: str, word: str, mlflow: Any, searched: str) -> "TrackedRun":
    """Find a run in MLflow by its id, or else the newest of that name.

    `searched` names the places that were searched, for messages.
    """
    from harness.tracking.mlflow_reader import find_runs  # late: it imports pandas

    kind = "run_id" if re.fullmatch(r"[0-9a-f]{32}", word) else "run_name"
    condition = f"attributes.{kind} = '{word}'"
    runs = find_runs(mlflow, None, None, condition) if "'" not in word else []
    if not runs:
        names = [run.name for run in find_runs(mlflow, None, None, None)]
        known = nearest(word, names) or " It must be a run's directory, or its MLflow id or name."
        raise ConfigError(f"{key}{word}: there is no such run in {searched}.{known}")
    return runs[-1]


def _fetch(key: str, run: "TrackedRun", paths: tuple[str, ...], folder: Path) -> Path:
    """Download `paths` of a run from MLflow to `folder`, and its journal and copies, if any."""
    tracked = {file.path for file in run.mlflow.list_artifacts(run.run_id)}
    for path in (*paths, JOURNAL, *GIVEN):
        if path in tracked:
            make_folder(folder)
            run.mlflow.download_artifacts(run.run_id, path, str(folder))
            note_tree(folder / path)
        elif path in paths:
            raise ConfigError(
                f"{key}{run.name}: its directory is gone and MLflow has no {path} of it."
            )
    _note_address(folder, run)
    return folder


def _note_address(folder: Path, run: "TrackedRun") -> None:
    """Write down which run of MLflow the downloaded journal belongs to."""
    place = sent.destination(folder)
    if place is not None:
        note_files(folder / SENT)
        known = sent.Sent(run_id=run.run_id, experiment_id=run.experiment_id)
        sent.save(folder, place.seen_from(folder)["uri"], known)
