"""The files that a run's settings name, and what the run keeps of them.

A file of data or of weights may be gone or changed by the time that its run is resumed or repeated,
on another machine or from MLflow alone. So a run notes the SHA-256 of each file, and copies those
that are small. Of the weights it has a copy in any case: its initial ones.
"""

import logging
from dataclasses import replace
from pathlib import Path

from harness.config.compose import Composed
from harness.config.saved_config import load_config
from harness.config.schema import Config
from harness.core.errors import ConfigError
from harness.core.file_names import DATA, INITIAL_WEIGHTS, LEARNING_RATES, ORDER
from harness.runs.checksums import check_file
from harness.system.checksum import checksum
from harness.system.durable_files import Content
from harness.tasks.array_file import ArrayFile
from harness.tracking.journal import first

log = logging.getLogger(__name__)

LARGEST = 1_000_000  # bytes of a file that is copied: each job of a sweep has a copy of its own
COPIES = {  # the run's own copy of the file that a setting names
    "task.path": DATA,
    "trainer.order": ORDER,
    "trainer.learning_rates": LEARNING_RATES,
    "model.weights": INITIAL_WEIGHTS,  # which every run has
}
TAGS = {key: f"{key.replace('.', '_')}_sha256" for key in COPIES}
TARGET = f"{ArrayFile.__module__}.{ArrayFile.__name__}"


def input_tags(config: Config) -> dict[str, str]:
    """Return the tags by which a run notes the contents of the files that its settings name."""
    found = {key: checksum(Path(path)) for key, path in named_files(config).items()}
    return {TAGS[key]: str(of["sha256"]) for key, of in found.items() if of}


def copies(config: Config, directory: Path) -> dict[str, Content]:
    """Return the copies of small files that a run in `directory` keeps, by their names."""
    found: dict[str, Content] = {}
    for key, named in named_files(config).items():
        path, name = Path(named), COPIES[key]
        if name == INITIAL_WEIGHTS or not path.is_file():
            continue
        if path.stat().st_size <= LARGEST or path == directory / name:
            found[name] = path.read_bytes()
    return found


def named_files(config: Config) -> dict[str, str]:
    """Return the files that a configuration names, by the key of the setting."""
    named = {
        "task.path": config.task.path if type(config.task) is ArrayFile else None,
        "trainer.order": config.trainer.order,
        "trainer.learning_rates": config.trainer.learning_rates,
        "model.weights": config.model.weights,
    }
    return {key: path for key, path in named.items() if path is not None}


def with_files_of(a: Config, b: Config) -> Config:
    """Return B with A's files where B's have the same contents: each may have copies of its own."""
    named, others = named_files(a), named_files(b)
    for key in named.keys() & others.keys():
        if checksum(Path(named[key])) == checksum(Path(others[key])) != {}:
            group, _, name = key.partition(".")
            b = replace(b, **{group: replace(getattr(b, group), **{name: named[key]})})
    return b


def load_restored(folder: Path) -> Composed:
    """Load the configuration of the run in `folder`, whose files are as they were for the run.

    Where a file that it names is gone or has changed, it names the run's own copy, if there is one.
    Raises `ConfigError`.
    """
    recorded = load_config(folder)
    tags = _recorded_tags(folder)
    for key, path in _named(recorded).items():
        copy, change = folder / COPIES[key], _change(path, tags.get(TAGS[key]))
        if change and copy.is_file():
            check_file(folder, COPIES[key])
            log.info("%s=%s: %s since; the run's own copy is used, %s", key, path, change, copy)
            group, _, name = key.partition(".")
            recorded[group][name] = str(copy)
    return recorded


def accept_moved_data(old: Composed, new: Composed, folder: Path, word: str) -> None:
    """Let `old`, of the run in `folder`, name the data that `new` does: they may have moved.

    Raises `ConfigError` if they are other data; `word` is the run as the user named it.
    """
    known, path = _recorded_tags(folder).get(TAGS["task.path"]), _named(new).get("task.path")
    if known is None or path is None:
        return
    if _change(path, known) == "has changed":
        raise ConfigError(
            f"task.path={path}: does not hold the data of resume={word} (its SHA-256 is another); "
            "name the file that does, wherever it is now."
        )
    old.task.path = path


def _recorded_tags(folder: Path) -> dict[str, str]:
    return (first(folder, ("start",)) or {}).get("tags", {})


def _named(recorded: Composed) -> dict[str, str]:
    """Return the files that a saved configuration names, by the key of the setting."""
    keys = [key for key in COPIES if key != "task.path" or recorded.task.get("_target_") == TARGET]
    if recorded.get("resume") is not None:  # such a run began with a checkpoint's weights
        keys.remove("model.weights")
    parts = {key: key.partition(".") for key in keys}
    found = {key: recorded[group].get(name) for key, (group, _, name) in parts.items()}
    return {key: path for key, path in found.items() if isinstance(path, str)}


def _change(path: str, known: str | None) -> str | None:
    """Say what happened to a file of the SHA-256 `known`; None if it is as it was."""
    if not Path(path).is_file():
        return "is gone"
    return None if known in (None, checksum(Path(path)).get("sha256")) else "has changed"
