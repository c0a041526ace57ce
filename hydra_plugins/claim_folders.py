"""A callback that claims the folder of a run or of a sweep before Hydra writes into it.

Hydra itself would overwrite what is there.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from harness.config.tracking_store import check_for_secrets
from harness.core.errors import ConfigError, Refused
from harness.runs.folders import claim_run, folder_key
from harness.sweeps.begin_sweep import begin


class ClaimFolders(Callback):
    """The callback, which `conf/config.yaml` names.

    A folder that cannot be claimed is a `ConfigError`, raised through Hydra as `Refused`.
    """

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        """Claim the folder of a run."""
        with _through_hydra():
            _check_secrets(config)
            typed = _typed(config.hydra.overrides.hydra)
            claim_run(Path(str(config.hydra.run.dir)), folder_key(typed, "hydra.run.dir"))

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Claim the folder of a sweep."""
        with _through_hydra():
            _check_secrets(config)
            begin(config)


def _check_secrets(config: DictConfig) -> None:
    """Refuse passwords in addresses before Hydra writes settings to files. Raises `ConfigError`."""
    named = OmegaConf.select(config, "tracking.uri")
    if named is not None:
        check_for_secrets("tracking.uri", str(named))
    for word in _typed(config.hydra.overrides.task):
        key, _, value = word.lstrip("+~").partition("=")
        if key == "tracking.uri":
            check_for_secrets(key, value.strip("'\""))


def _typed(overrides: ListConfig) -> list[str]:
    """Return words as they were typed, with interpolations as they are."""
    return [str(word) for word in OmegaConf.to_container(overrides) or ()]


@contextmanager
def _through_hydra() -> Iterator[None]:
    try:
        yield
    except (ConfigError, OmegaConfBaseException) as error:
        raise Refused(error) from error
