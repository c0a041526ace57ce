"""What is composed in a hurry is what Hydra composes: settings, notes for the record, faults."""

from collections.abc import Callable, Iterator

import hydra
import pytest
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from harness.config.composer import Composer
from harness.config.conf_folder import CONF

Load = Callable[[list[str]], DictConfig]


@pytest.fixture
def load() -> Iterator[Load]:
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        yield lambda words: hydra.compose("config", words, return_hydra_config=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        [],
        ["seed=3"],
        ["task=binary", "model=lstm", "seed=3", "optimizer.lr=0.1", "task.samples=60"],
        ["optimizer.lr=0.5", "optimizer=sgd"],  # the value is for the option that comes later
        ["experiment=notebook_sum", "trainer.epochs=2"],  # as an experiment sets values, too
        ["seed=1", "seed=2"],
        ["model.units='4'", "resume=null", "results=/tmp/a b"],
        ["+tracking.extra=1", "tracking.extra=2"],
        ["~precision", "seed=3"],
        ["results=${task.name}/${seed}", "seed=7"],
        ["hydra.sweep.subdir=mine", "seed=3"],
        [
            "seed=3",
            "hydra.launcher.workers=2",
            "task=binary",
            "hydra.job.config.override_dirname.kv_sep=_",
        ],
    ],
)
def test_as_hydra_composes(words: list[str], load: Load) -> None:
    composer = Composer(load)
    for before in (["seed=9", "task=sum"], ["model=gru", "optimizer.lr=7"]):  # leave no traces
        composer(before)
    ours, theirs = (_plain(way(words)) for way in (composer, load))
    assert ours == theirs


@pytest.mark.parametrize(
    "words",
    [["sede=3"], ["task=summ"], ["optimizer.lrr=1"], ["optimizer/x=y"], ["+seed=1"], ["a=b=[c"]],
)
def test_faults_are_hydras(words: list[str], load: Load) -> None:
    said = []
    for way in (Composer(load), load):
        with pytest.raises((HydraException, ValueError)) as fault:
            way(words)
        said.append((type(fault.value), str(fault.value)))
    assert said[0] == said[1]


def test_options_are_composed_once(load: Load) -> None:
    asked: list[list[str]] = []

    def counted(words: list[str]) -> DictConfig:
        asked.append(words)
        return load(words)

    composer = Composer(counted)
    for seed in range(20):
        composer(
            [f"task={('sum', 'binary')[seed % 2]}", f"seed={seed}", "hydra.launcher.workers=2"]
        )
    workers = "hydra.launcher.workers=2"
    assert asked == [[], ["task=sum", workers], ["task=binary", workers]]


def _plain(composed: DictConfig) -> object:
    composed.hydra.runtime.output_dir = composed.hydra.run.dir = "at another time"
    composed.hydra.sweep.dir = "at another time"
    return OmegaConf.to_container(composed)
