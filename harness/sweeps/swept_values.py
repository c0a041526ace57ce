"""Parse the overrides of a sweep into the values of each key, as Hydra's basic sweeper does."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from harness.core.errors import ConfigError

MAX_JOBS = 100_000  # jobs of a sweep at most: composing as many takes some 20 minutes


@dataclass
class Swept:
    """The overrides of a sweep, parsed."""

    fixed: list[str] = field(default_factory=list)  # the same in every job
    values: dict[str, list[str]] = field(default_factory=dict)  # key -> KEY=VALUE, in order
    intervals: list[str] = field(default_factory=list)  # KEY=interval(…): for a search only
    overrides: dict[str, Override] = field(default_factory=dict)  # those with several values

    @property
    def jobs(self) -> int:
        """The number of combinations; 0 where there are infinitely many."""
        return 0 if self.intervals else math.prod(map(len, self.values.values()))

    @property
    def keys(self) -> list[str]:
        """The keys that distinguish the jobs."""
        return [key.lstrip("+~") for key in self.overrides]


def parse_sweep(words: Sequence[str]) -> Swept:
    """Parse the words of a sweep; of several words for one key the last counts.

    `glob(…)` needs a running Hydra application, whose config folders it searches.

    Raises `ConfigError` for a `glob` that matches nothing, and `HydraException` for a word that
    Hydra cannot read.
    """
    swept = Swept()
    for override in parse_words(words):
        line = override.input_line or ""
        if not override.is_sweep_override():
            swept.fixed.append(line)
            continue
        swept.overrides[override.get_key_element()] = override
        if not override.is_discrete_sweep():
            swept.intervals.append(line)
        else:
            swept.values[override.get_key_element()] = values_of(override)
    return swept


def check_number(swept: Swept, words: Sequence[str]) -> None:
    """Raise `ConfigError` where every combination is a job, and that is too many or impossible."""
    for word in swept.intervals:
        raise interval_refused(word)
    if swept.jobs > MAX_JOBS:
        raise ConfigError(
            f"{' '.join(words)}: are more than {MAX_JOBS:,} jobs, the most that a sweep may have."
        )


def sweep_words(config: DictConfig) -> list[str]:
    """Return the words of a sweep by Hydra's `config`: the sweeper's, then those typed."""
    params = OmegaConf.select(config, "hydra.sweeper.params") or {}
    typed: Any = OmegaConf.to_container(config.hydra.overrides.task)  # not resolved
    return [*(f"{key}={value}" for key, value in params.items()), *typed]


def parse_words(words: Sequence[str]) -> list[Override]:
    """Parse words by Hydra's grammar; of several for one key the last counts."""
    app = GlobalHydra.instance()
    loader = app.config_loader() if app.is_initialized() else None
    parsed = OverridesParser.create(config_loader=loader).parse_overrides(list(words))
    return list({override.get_key_element(): override for override in parsed}.values())


def values_of(override: Override) -> list[str]:
    """Return KEY=VALUE for each value of an override that is no interval, as Hydra's sweeper does.

    Raises `ConfigError` for an interval and for a `glob` that matches nothing.
    """
    key = override.get_key_element()
    if not override.is_sweep_override():
        return [f"{key}={override.get_value_element_as_str()}"]
    if not override.is_discrete_sweep():
        raise interval_refused((override.input_line or key).lstrip("+"))
    values = [f"{key}={value}" for value in islice(override.sweep_string_iterator(), MAX_JOBS + 1)]
    if values:
        return values
    loader = override.config_loader
    options = loader.get_group_options(override.key_or_group) if loader else []
    valid = f"{key} has {', '.join(options)}" if options else f"{key} is no group of options"
    raise ConfigError(f"{override.input_line}: matches nothing; {valid}.")


def interval_refused(word: str) -> ConfigError:
    """Return the error for an interval in a sweep that lists its values."""
    listed = re.sub(r"interval\((.*)\)", r"\1", word)  # lr=interval(0.1,1) -> lr=0.1,1
    return ConfigError(
        f"{word}: only a search takes an interval; add hydra/sweeper=optuna, or list values, as in "
        f"{listed}."
    )
