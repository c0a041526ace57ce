"""Parse the overrides of a sweep into the values of each key, as Hydra's basic sweeper does."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

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
    app = GlobalHydra.instance()
    loader = app.config_loader() if app.is_initialized() else None
    parsed = OverridesParser.create(config_loader=loader).parse_overrides(list(words))
    latest = {override.get_key_element(): override for override in parsed}
    swept = Swept()
    for key, override in latest.items():
        line = override.input_line or ""
        if not override.is_sweep_override():
            swept.fixed.append(line)
            continue
        swept.overrides[key] = override
        if not override.is_discrete_sweep():
            swept.intervals.append(line)
        else:
            swept.values[key] = _values(key, override)
    return swept


def check_number(swept: Swept, words: Sequence[str]) -> None:
    """Raise `ConfigError` where every combination is a job, and that is too many or impossible."""
    for word in swept.intervals:
        raise ConfigError(
            f"{word}: only a search takes an interval; add hydra/sweeper=optuna, or list values, "
            f"as in {_listed(word)}."
        )
    if swept.jobs > MAX_JOBS:
        raise ConfigError(
            f"{' '.join(words)}: are more than {MAX_JOBS:,} jobs, the most that a sweep may have."
        )


def _listed(interval: str) -> str:
    """Return the interval's ends as a list of values: `lr=interval(0.1,1)` -> `lr=0.1,1`."""
    return re.sub(r"interval\((.*)\)", r"\1", interval)


def _values(key: str, override: Override) -> list[str]:
    values = [f"{key}={value}" for value in islice(override.sweep_string_iterator(), MAX_JOBS + 1)]
    if values:
        return values
    loader = override.config_loader
    options = loader.get_group_options(override.key_or_group) if loader else []
    valid = f"{key} has {', '.join(options)}" if options else f"{key} is no group of options"
    raise ConfigError(f"{override.input_line}: matches nothing; {valid}.")
