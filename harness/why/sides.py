"""Read the two sides of a question from overrides, or from two recorded runs and overrides.

Effects are measured on paired seeds, so both sides are trained with the same seeds, and with
several even if a recorded run had one.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path

from harness.config.compose import compose
from harness.config.parsing import from_hydra
from harness.config.saved_config import with_overrides
from harness.config.schema import Config
from harness.core.errors import ConfigError
from harness.runs.input_files import with_files_of
from harness.runs.recorded_side import recorded_side
from harness.why.players import format_value, get_value

REPLICAS = 16  # where both sides have one: an interval needs several
SHARED = ("seed", "replicas", "results", "tracking")  # keys that a side cannot have for itself
SAME_TASK = "both must learn from the same data, or their losses cannot be compared."


def from_overrides(words: list[str], config_dir: Path | None) -> tuple[Config, Config]:
    """Compose both sides: `a.KEY=VALUE` is for A, `b.KEY=VALUE` for B, `KEY=VALUE` for both.

    Raises `ConfigError`.
    """
    _refuse_prefixes(words)
    a, b = (_composed(side, words, config_dir) for side in "ab")
    if a.seed != b.seed:
        raise ConfigError(
            f"seed: {a.seed} on side a, {b.seed} on side b; effects are measured on paired seeds, "
            "so give one seed without a prefix."
        )
    return _paired(a, b, words)


def from_runs(
    names: list[str], words: list[str], results: Path, uri: str | None, config_dir: Path | None
) -> tuple[Config, Config]:
    """Load two recorded runs, with overrides on top.

    A run is named by its directory, MLflow run id or name. Both sides have the seeds of the first.
    Raises `ConfigError`.
    """
    _refuse_prefixes(words)
    a, b = (
        _recorded(name, side, words, results, uri, config_dir)
        for side, name in zip("ab", names, strict=True)
    )
    return _paired(a, with_files_of(a, replace(b, seed=a.seed)), words)


def side_overrides(side: str, words: list[str]) -> list[str]:
    """Return the overrides for one side without their prefix."""
    other = {"a": "b", "b": "a"}[side]
    overrides = [word for word in words if not re.match(rf"[+~]*{other}\.", word)]
    return [re.sub(rf"^([+~]*){side}\.", r"\1", word) for word in overrides]


@contextmanager
def prefixed_errors(side: str, words: list[str]) -> Iterator[None]:
    """Put the side's prefix in front of an error about a key that was typed with it."""
    typed = {re.sub(r"^[+~]*|=.*", "", word) for word in words}
    try:
        yield
    except ConfigError as error:
        key = re.match(r"[\w.@]+", str(error))
        if key and f"{side}.{key[0]}" in typed:
            raise ConfigError(f"{side}.{error}") from error
        raise


def _composed(side: str, words: list[str], config_dir: Path | None) -> Config:
    with prefixed_errors(side, words):
        return compose(side_overrides(side, words), config_dir)


def _refuse_prefixes(words: list[str]) -> None:
    """Raise `ConfigError` for a prefix before a key that both sides share."""
    for typed in words:
        match = re.match(r"[+~]*[ab]\.(\w+)", typed)
        if match and match[1] in SHARED:
            plain = re.sub(r"^([+~]*)[ab]\.", r"\1", typed)
            raise ConfigError(f"{typed}: both sides share it; write {plain}.")


def _paired(a: Config, b: Config, words: list[str]) -> tuple[Config, Config]:
    """Return both sides with equally many replicas, after checking that they can be compared."""
    if type(a.task) is not type(b.task):
        raise ConfigError(f"task: {a.task.name} on side a, {b.task.name} on side b; {SAME_TASK}")
    keys = [f"task.{field.name}" for field in fields(a.task)]
    for key in [*keys, "model.returns"] if a.task.every_step else keys:  # which targets count
        mine, theirs = (get_value(side, key) for side in (a, b))
        if mine != theirs:
            raise ConfigError(
                f"{key}: {format_value(mine)} on side a, {format_value(theirs)} on side b; "
                f"{SAME_TASK}"
            )
    for side in (a, b):
        if side.trainer.epochs == 0:
            raise ConfigError("trainer.epochs=0: nothing is trained; set it to 1 or more.")
        if side.resume is not None:
            raise ConfigError(
                f"resume={side.resume}: both sides are trained from their first epoch; name a run "
                "that was."
            )
    count = _replicas(a, b, words)
    return replace(a, replicas=count), replace(b, replicas=count)


def _replicas(a: Config, b: Config, words: list[str]) -> int:
    """Return the larger number of replicas, or `REPLICAS` if both sides have one.

    Raises `ConfigError` if a single replica was asked for.
    """
    count = max(a.replicas, b.replicas)
    if count == 1 and any(re.match(r"\+*replicas=", word) for word in words):
        raise ConfigError(
            f"replicas=1: an interval needs two or more; without this word there are {REPLICAS}."
        )
    return REPLICAS if count == 1 else count


def _recorded(
    name: str,
    side: str,
    words: list[str],
    results: Path,
    uri: str | None,
    config_dir: Path | None,
) -> Config:
    """Return a recorded run's configuration, with the side's overrides on top."""
    loaded = recorded_side(name, results, uri)
    with prefixed_errors(side, words):
        overrides, folders = side_overrides(side, words), [] if config_dir is None else [config_dir]
        return from_hydra(with_overrides(loaded, overrides, name, folders=folders))
