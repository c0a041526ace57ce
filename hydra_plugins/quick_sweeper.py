"""`hydra/sweeper=quick`: Hydra's basic sweeper, quicker to see that all jobs can be composed."""

from collections.abc import Sequence

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

from harness.config.composer import sweep_composer
from hydra_plugins.batched_launcher import BatchedLauncher


class QuickSweeper(BasicSweeper):
    """See the module; the constructor and all else are the basic sweeper's."""

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        if isinstance(self.launcher, BatchedLauncher):
            return  # which composes all of them before the first one runs
        assert self.hydra_context is not None
        assert self.config is not None
        composer = sweep_composer(self.hydra_context.config_loader, self.config)
        for overrides in batch:
            composer(overrides)
