"""Configurations composed from the real `conf/`, as the command line composes them."""

from functools import cache

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from harness.config.composer import Composer
from harness.config.parsing import from_hydra
from harness.config.schema import Config
from tests.support import ROOT

CONF = ROOT / "conf"


@cache
def composer() -> Composer:
    """Hydra's own result at a tenth of its time: see `tests/config/test_composer.py`."""
    return Composer(lambda words: compose("config", words, return_hydra_config=True))


def composed(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        with_hydra = composer()(overrides)
    return OmegaConf.masked_copy(with_hydra, [str(key) for key in with_hydra if key != "hydra"])


def config(*overrides: str) -> Config:
    return from_hydra(composed(*overrides))
