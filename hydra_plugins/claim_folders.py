"""A callback that claims the folder of a run or of a sweep before Hydra writes into it.

Hydra itself would overwrite what is there.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from harness.core.errors import ConfigError, Refused
from harness.runs.folders import claim_run, folder_key
from harness.sweeps import sweep


class ClaimFolders(Callback):
    """The callback, which `conf/config.yaml` names.

    A folder that cannot be claimed is a `ConfigError`, raised through Hydra as `Refused`.
    """

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        """Claim the folder of a run."""
        with _through_hydra():
            typed = [str(word) for word in config.hydra.overrides.hydra]
            claim_run(Path(str(config.hydra.run.dir)), folder_key(typed, "hydra.run.dir"))

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Claim the folder of a sweep."""
        with _through_hydra():
            sweep.begin(config)


@contextmanager
def _through_hydra() -> Iterator[None]:
    try:
        yield
    except (ConfigError, OmegaConfBaseException) as error:
        raise Refused(error) from error
