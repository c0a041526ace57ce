"""The interface through which a run asks during training whether it is pruned."""

from typing import Protocol

from harness.core.arrays import Array


class Pruning(Protocol):
    """The search that a run is a trial of: it may end the run early."""

    def prunes(self, epoch: int, values: dict[str, Array]) -> bool:
        """Return whether the run ends after this epoch, whose metrics are `values`, `(R,)` each."""
        ...
