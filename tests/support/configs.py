"""Configurations composed from the real `conf/`, as the command line composes them."""

from functools import cache

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from harness.config.composer import Composer, without_hydra
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
        return without_hydra(composer()(overrides))


def config(*overrides: str) -> Config:
    return from_hydra(composed(*overrides))
