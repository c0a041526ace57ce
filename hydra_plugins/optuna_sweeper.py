"""`hydra/sweeper=optuna`: a search; `harness/sweeps/search.py` does the work.

Hydra imports this module whatever sweeper is chosen, so nothing here imports Optuna.
"""

from pathlib import Path
from typing import Any

from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from harness.config.composer import sweep_composer
from harness.config.parsing import from_hydra
from harness.sweeps.batches import Batches, launch_each
from harness.sweeps.search import carry_out_search
from harness.sweeps.swept_values import sweep_words
from hydra_plugins.batched_launcher import BatchedLauncher


class OptunaSweeper(Sweeper):
    """A sweeper whose settings `harness.sweeps.begin_sweep.begin` has read and checked."""

    def __init__(self, **_: Any) -> None:
        pass

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Take what Hydra gives to every sweeper."""
        self.config, self.hydra_context = config, hydra_context
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:  # noqa: ARG002  # they are in the configuration
        """Ask for trials, have the launcher train them, and tell how they ended."""
        assert self.config is not None
        assert self.hydra_context is not None
        OmegaConf.save(self.config, Path(self.config.hydra.sweep.dir) / "multirun.yaml")
        composer = sweep_composer(self.hydra_context.config_loader, self.config)
        carry_out_search(
            sweep_words(self.config),
            compose=lambda words: from_hydra(composer(words)),
            launch=self._launch,
        )

    def _launch(self, batches: Batches) -> None:
        launcher = self.launcher
        assert launcher is not None
        if isinstance(launcher, BatchedLauncher) and launcher.takes_more:
            launcher.carry_out(batches)
        else:
            launch_each(batches, lambda batch: launcher.launch(batch.overrides, batch.number))
