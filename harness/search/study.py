"""The Optuna study of a search: where it is kept, and whether it is the one that is meant."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.config.overrides import key_of
from harness.config.tracking_store import absolute, without_secrets
from harness.core.errors import ConfigError, first_line
from harness.core.file_names import STUDY
from harness.search.settings import KEY, Search
from harness.search.space import Parameter

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import BaseStorage

# Two programs that make a new database's tables at once are in each other's way.
TRIES, PAUSE = 4, 0.5  # how often it is opened, and seconds in between
WAIT = 60  # seconds for another process that writes to the same SQLite database
# Settings in which the programs that share a study may differ: no trial's result depends on them.
FREE = ("results", "tracking", "device", "threads", "sweep.", "hydra")


def place_of(search: Search, directory: Path) -> str:
    """Return the address of the storage: a URL, or the absolute path of a journal file."""
    if search.storage is None:
        return str(directory / STUDY)
    is_url = "://" in search.storage
    return absolute(search.storage) if is_url else str(Path(search.storage).expanduser().absolute())


def open_study(search: Search) -> "Study":
    """Return the study, which is made if it is not there. Raises `ConfigError`.

    `storage` and `study` are set.
    """
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    known = (SQLAlchemyError, ImportError, OSError, ValueError, optuna.exceptions.OptunaError)
    assert search.storage is not None
    for left in reversed(range(TRIES)):
        try:
            return _created(search, _storage(search.storage))
        except known as error:
            if left == 0 or not isinstance(error, SQLAlchemyError):
                shown = without_secrets(search.storage)
                raise ConfigError(
                    f"{KEY}.storage={shown}: cannot be opened ({first_line(error)})."
                ) from error
            time.sleep(PAUSE)
    raise AssertionError("the last try returns or raises")


def temporary_study(search: Search) -> "Study":
    """Return a study in memory, for a dry run."""
    return _created(search, None)


def _created(search: Search, storage: "BaseStorage | None") -> "Study":
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(
        storage=storage,
        study_name=search.study,
        directions=search.senses,
        load_if_exists=True,
        sampler=optuna.samplers.RandomSampler(),  # each trial gets its own
        pruner=optuna.pruners.NopPruner(),
    )


def _storage(place: str) -> "BaseStorage":
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend

    if "://" not in place:
        return JournalStorage(JournalFileBackend(place))
    arguments = {"connect_args": {"timeout": WAIT}} if place.startswith("sqlite") else {}
    return RDBStorage(place, engine_kwargs=arguments)


def agree(study: "Study", search: Search, space: Sequence[Parameter], fixed: Sequence[str]) -> None:
    """Let a new study keep what is searched; raise `ConfigError` where it keeps something else."""
    asked = _description(search, space, fixed)
    kept: dict[str, Any] = study.user_attrs
    for name, value in asked.items():
        if name not in kept:
            study.set_user_attr(name, value)
        elif kept[name] != value:
            raise ConfigError(
                f"{KEY}.study={search.study}: this study has {name} {_shown(kept[name], value)}; "
                f"give the same, or choose another name for the study."
            )


def _description(
    search: Search, space: Sequence[Parameter], fixed: Sequence[str]
) -> dict[str, dict[str, str]]:
    from optuna.distributions import distribution_to_json

    settings = [word.lstrip("+~") for word in fixed if not key_of(word).startswith(FREE)]
    return {
        "objectives": dict(zip(search.objectives, search.senses, strict=True)),
        "space": {p.name: _text(json.loads(distribution_to_json(p.distribution))) for p in space},
        "settings": {key: value for key, _, value in (word.partition("=") for word in settings)},
    }


def _text(distribution: dict[str, Any]) -> str:
    """Return a distribution as text: `FloatDistribution(low=0, high=1, log=False)`."""
    arguments = ", ".join(f"{k}={v}" for k, v in distribution["attributes"].items())
    return f"{distribution['name']}({arguments})"


def _shown(kept: dict[str, str], asked: dict[str, str]) -> str:
    """Return the first entry in which two descriptions differ."""
    name = next(n for n in [*asked, *kept] if kept.get(n) != asked.get(n))
    return f"{name}={kept.get(name, 'none')}, not {asked.get(name, 'none')}"
