"""The two sides of a question: from overrides, or from two recorded runs and overrides.

Effects are measured on paired seeds, so both sides are trained with the same ones, and with several
even where a recorded run had one.
"""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path

from harness.config.compose import compose
from harness.config.parsing import from_hydra
from harness.config.saved_config import load_config, with_overrides
from harness.config.schema import Config
from harness.core.errors import ConfigError
from harness.core.file_names import CONFIG
from harness.runs.find import find_run
from harness.why.players import value, word

REPLICAS = 16  # where a side has one: an interval needs several
SHARED = ("seed", "replicas", "results", "tracking")  # of both sides, or of the answer
SAME_TASK = "both must learn from the same data, or their losses cannot be compared."


def from_overrides(words: list[str], config_dir: Path | None) -> tuple[Config, Config]:
    """`a.KEY=VALUE` is for one side, `b.KEY=VALUE` for the other, `KEY=VALUE` for both."""
    _refuse_prefixes(words)
    a, b = (_composed(side, words, config_dir) for side in "ab")
    if a.seed != b.seed:
        raise ConfigError(
            f"seed: {a.seed} on side a, {b.seed} on side b; effects are measured on paired seeds, "
            "so give one seed without a prefix."
        )
    return _paired(a, b, words)


def from_runs(
    names: list[str], words: list[str], results: Path, uri: str | None
) -> tuple[Config, Config]:
    """Two recorded runs, each a directory, MLflow run id or name, with overrides on top. Seeds are
    those of the first."""
    _refuse_prefixes(words)
    a, b = (
        _recorded(name, side, words, results, uri) for side, name in zip("ab", names, strict=True)
    )
    return _paired(a, replace(b, seed=a.seed), words)


def of_side(side: str, words: list[str]) -> list[str]:
    """The overrides for one side, their prefix removed."""
    other = {"a": "b", "b": "a"}[side]
    kept = [word for word in words if not re.match(rf"[+~]*{other}\.", word)]
    return [re.sub(rf"^([+~]*){side}\.", r"\1", word) for word in kept]


@contextmanager
def as_typed(side: str, words: list[str]) -> Iterator[None]:
    """What is wrong with a value is said of the key as it was typed, with its prefix."""
    typed = {re.sub(r"^[+~]*|=.*", "", word) for word in words}
    try:
        yield
    except ConfigError as error:
        key = re.match(r"[\w.@]+", str(error))
        if key and f"{side}.{key[0]}" in typed:
            raise ConfigError(f"{side}.{error}") from error
        raise


def _composed(side: str, words: list[str], config_dir: Path | None) -> Config:
    with as_typed(side, words):
        return compose(of_side(side, words), config_dir)


def _refuse_prefixes(words: list[str]) -> None:
    """What one side cannot have for itself must not look as if it did."""
    for typed in words:
        found = re.match(r"[+~]*[ab]\.(\w+)", typed)
        if found and found[1] in SHARED:
            plain = re.sub(r"^([+~]*)[ab]\.", r"\1", typed)
            raise ConfigError(f"{typed}: both sides share it; write {plain}.")


def _paired(a: Config, b: Config, words: list[str]) -> tuple[Config, Config]:
    """Both sides with as many replicas, after checking that they can be compared at all."""
    if type(a.task) is not type(b.task):
        raise ConfigError(f"task: {a.task.name} on side a, {b.task.name} on side b; {SAME_TASK}")
    keys = [f"task.{field.name}" for field in fields(a.task)]
    for key in [*keys, "model.returns"] if a.task.every_step else keys:  # which targets count
        mine, theirs = (value(side, key) for side in (a, b))
        if mine != theirs:
            raise ConfigError(
                f"{key}: {word(mine)} on side a, {word(theirs)} on side b; {SAME_TASK}"
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
    """Of both sides: the larger number, or the usual one unless one alone was asked for."""
    count = max(a.replicas, b.replicas)
    if count == 1 and any(re.match(r"\+*replicas=", word) for word in words):
        raise ConfigError(
            f"replicas=1: an interval needs two or more; without this word there are {REPLICAS}."
        )
    return REPLICAS if count == 1 else count


def _recorded(name: str, side: str, words: list[str], results: Path, uri: str | None) -> Config:
    """A recorded run's configuration; a side's `words` change single values."""
    with tempfile.TemporaryDirectory() as fetched:
        folder = find_run("", name, results, uri, (CONFIG,), Path(fetched))
        loaded = load_config(folder)
    with as_typed(side, words):
        return from_hydra(with_overrides(loaded, of_side(side, words), name))
