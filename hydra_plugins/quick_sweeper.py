"""`hydra/sweeper=quick`: Hydra's basic sweeper with a faster check that all jobs compose."""

from collections.abc import Sequence

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

from harness.config.composer import sweep_composer
from hydra_plugins.batched_launcher import BatchedLauncher


class QuickSweeper(BasicSweeper):
    """A basic sweeper that validates jobs by the cached composer."""

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Compose every job; raise Hydra's exception for one that cannot be composed."""
        if isinstance(self.launcher, BatchedLauncher):
            return  # it composes all jobs before the first one runs
        assert self.hydra_context is not None
        assert self.config is not None
        composer = sweep_composer(self.hydra_context.config_loader, self.config)
        for overrides in batch:
            composer(overrides)
