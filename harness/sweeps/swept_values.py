"""Parse the overrides of a sweep into the values of each key, as Hydra's basic sweeper does."""

import math
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

    @property
    def jobs(self) -> int:
        """The number of jobs; 0 where a search decides it."""
        return 0 if self.intervals else math.prod(map(len, self.values.values()))

    @property
    def keys(self) -> list[str]:
        """The keys that distinguish the jobs."""
        every = [*self.values, *(word.partition("=")[0] for word in self.intervals)]
        return [key.lstrip("+~") for key in every]


def parse_sweep(words: Sequence[str]) -> Swept:
    """Parse the words of a sweep; of several words for one key the last counts.

    `glob(…)` needs a running Hydra application, whose config folders it searches.

    Raises `ConfigError` for a `glob` that matches nothing and for too many jobs, and
    `HydraException` for a word that Hydra cannot read.
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
        elif not override.is_discrete_sweep():
            swept.intervals.append(line)
        else:
            swept.values[key] = _values(key, override)
    if swept.jobs > MAX_JOBS:
        raise ConfigError(
            f"{' '.join(words)}: are more than {MAX_JOBS:,} jobs, the most that a sweep may have."
        )
    return swept


def _values(key: str, override: Override) -> list[str]:
    values = [f"{key}={value}" for value in islice(override.sweep_string_iterator(), MAX_JOBS + 1)]
    if values:
        return values
    loader = override.config_loader
    options = loader.get_group_options(override.key_or_group) if loader else []
    valid = f"{key} has {', '.join(options)}" if options else f"{key} is no group of options"
    raise ConfigError(f"{override.input_line}: matches nothing; {valid}.")
