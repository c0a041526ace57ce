"""What a launcher's settings can do: each kind of workers has them in `harness/sweeps/engines/`."""

from collections.abc import Sequence
from typing import Protocol

from harness.sweeps.driver import More
from harness.sweeps.estimates import Demand
from harness.sweeps.units import WorkUnit
from harness.sweeps.work import Losses


class Workers(Protocol):
    """The settings of a launcher: what carries units out, and how many at once."""

    @property
    def waits(self) -> bool:
        """Whether the program waits for the jobs, and lets MLflow follow them."""
        ...

    def count(self, demand: Demand) -> int:
        """Return how many units are carried out at once. Raises `ConfigError` for none."""
        ...

    def cores(self, count: int, threads: int) -> int:
        """Return the cores that so many workers of so many threads share."""
        ...

    def place(self, count: int) -> str:
        """Describe where, for the line before the start."""
        ...

    def carry_out(
        self, units: Sequence[WorkUnit], more: More, count: int, demand: Demand
    ) -> Losses:
        """Carry out units, and those of `more` as units end.

        Return the losses of jobs as far as they are known.
        """
        ...
