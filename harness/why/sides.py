"""The two sides of a question: from overrides, or from two recorded runs and overrides.

Effects are measured on paired seeds, so both sides are trained with the same ones, and with several
even where a recorded run had one.
"""

import re
import tempfile
from dataclasses import fields, replace
from pathlib import Path

from harness.compose import compose
from harness.config import Config, from_hydra
from harness.errors import ConfigError
from harness.find_run import find_run
from harness.recorded import load_config, with_overrides
from harness.why.players import value, word

REPLICAS = 16  # where a side has one: an interval needs several
SAME_TASK = "both must learn from the same data, or their losses cannot be compared."


def from_overrides(words: list[str], config_dir: Path | None) -> tuple[Config, Config]:
    """`a.KEY=VALUE` is for one side, `b.KEY=VALUE` for the other, `KEY=VALUE` for both."""
    a, b = (compose(of_side(side, words), config_dir) for side in "ab")
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
    a, b = (
        _recorded(name, of_side(side, words), results, uri)
        for side, name in zip("ab", names, strict=True)
    )
    return _paired(a, replace(b, seed=a.seed), words)


def of_side(side: str, words: list[str]) -> list[str]:
    """The overrides for one side, their prefix removed."""
    other = {"a": "b", "b": "a"}[side]
    kept = [word for word in words if not re.match(rf"[+~]*{other}\.", word)]
    return [re.sub(rf"^([+~]*){side}\.", r"\1", word) for word in kept]


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
    if count == 1 and any(re.match(r"\+*([ab]\.)?replicas=", word) for word in words):
        raise ConfigError(
            f"replicas=1: an interval needs two or more; without this word there are {REPLICAS}."
        )
    return REPLICAS if count == 1 else count


def _recorded(name: str, words: list[str], results: Path, uri: str | None) -> Config:
    """A recorded run's configuration; `words` change single values."""
    with tempfile.TemporaryDirectory() as fetched:
        folder = find_run("", name, results, uri, ("config.yaml",), Path(fetched))
        loaded = load_config(folder)
    return from_hydra(with_overrides(loaded, words, name))
