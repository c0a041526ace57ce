"""`hydra/sweeper=quick`: Hydra's basic sweeper with a faster check that all jobs compose.

With `sweep.file` the jobs are those that the file lists.
"""

from collections.abc import Sequence
from pathlib import Path

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.types import Override

from harness.config.composer import sweep_composer
from harness.sweeps import sweep
from harness.sweeps.listed_jobs import listed_jobs
from harness.sweeps.sweep_file import recorded_file
from hydra_plugins.batched_launcher import BatchedLauncher, composed_job


class QuickSweeper(BasicSweeper):
    """A basic sweeper that validates jobs by the cached composer."""

    @staticmethod
    def split_arguments(
        overrides: list[Override], max_batch_size: int | None
    ) -> list[list[list[str]]]:
        """Return the batches of jobs, each a list of overrides."""
        swept = sweep.current()
        file = None if swept is None else recorded_file(Path(swept.directory))
        if file is None:
            return BasicSweeper.split_arguments(overrides, max_batch_size)
        jobs = listed_jobs(file, [override.input_line or "" for override in overrides]).overrides
        return list(BasicSweeper.split_overrides_to_chunks(jobs, max_batch_size))

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Compose every job; raise Hydra's exception for one that cannot be composed."""
        if isinstance(self.launcher, BatchedLauncher):
            return  # it composes all jobs before the first one runs
        assert self.hydra_context is not None
        assert self.config is not None
        assert self.overrides is not None
        swept = sweep.current()
        composer = sweep_composer(self.hydra_context.config_loader, self.config)
        before = sum(map(len, self.overrides[: self.batch_index - 1]))
        for number, overrides in enumerate(batch, before):
            if swept is not None and swept.file is not None:
                composed_job(composer, self.config, number, overrides)
            else:
                composer(overrides)
