"""What Hydra's syntax means as a space; a range is half-open, as Hydra lists it."""

import pytest
from optuna import create_study
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import RandomSampler

from harness.core.errors import ConfigError
from harness.search.space import Parameter, check_sampler, space_of
from harness.sweeps.swept_values import parse_sweep

SPACES = [
    ("model.units=choice(4,8)", CategoricalDistribution((4, 8))),
    ("optimizer=adam,sgd", CategoricalDistribution(("adam", "sgd"))),
    ("task.lengths='2:4','2:8'", CategoricalDistribution(("'2:4'", "'2:8'"))),
    ("model.units=range(2,9,3)", IntDistribution(2, 8, step=3)),
    ("model.units=range(2,8,3)", IntDistribution(2, 5, step=3)),
    ("model.units=range(4)", IntDistribution(0, 3)),
    ("model.units=range(9,2,-3)", IntDistribution(3, 9, step=3)),
    ("model.units=tag(log,range(1,65))", IntDistribution(1, 64, log=True)),
    ("trainer.clip=range(0.1,0.5,0.1)", FloatDistribution(0.1, 0.4, step=0.1)),
    ("optimizer.lr=interval(1e-4,1)", FloatDistribution(1e-4, 1.0)),
    ("optimizer.lr=tag(log,interval(1e-4,1))", FloatDistribution(1e-4, 1.0, log=True)),
    ("model.units=int(interval(2,8))", IntDistribution(2, 8)),
    ("model.units=tag(log,int(interval(2,8)))", IntDistribution(2, 8, log=True)),
]


def parameter(word: str) -> Parameter:
    [only] = space_of(parse_sweep([word]).overrides)
    return only


@pytest.mark.parametrize(("word", "distribution"), SPACES)
def test_a_word_of_hydra_is_a_distribution_of_optuna(word: str, distribution: object) -> None:
    assert parameter(word).distribution == distribution


@pytest.mark.parametrize("word", [word for word, _ in SPACES if "interval" not in word])
def test_the_values_asked_for_are_those_that_hydra_lists(word: str) -> None:
    study = create_study(sampler=RandomSampler(seed=0))
    found = {parameter(word).asked(study.ask()) for _ in range(400)}
    assert found <= set(*parse_sweep([word]).values.values())
    assert len(found) > 1


def test_the_prefix_of_a_key_is_no_part_of_its_name() -> None:
    found = parameter("++optimizer.momentum=interval(0,1)")
    assert found.name == "optimizer.momentum"
    assert found.corners == ["++optimizer.momentum=0.0", "++optimizer.momentum=1.0"]


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("optimizer.lr=interval(1,0.1)", r"interval\(1,0\.1\): cannot be searched"),
        ("optimizer.lr=tag(log,interval(0,1))", "cannot be searched"),
        ("model.units=tag(log,range(1,9,2))", r"needs whole numbers and step 1"),
    ],
)
def test_what_is_no_space_is_refused(word: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parameter(word)


@pytest.mark.parametrize(
    ("sampler", "word", "message"),
    [
        ("grid", "optimizer.lr=interval(0.1,1)", r"optimizer\.lr: .*sampler=grid needs values"),
        ("cmaes", "optimizer=adam,sgd", "sampler=cmaes: searches numbers"),
        ("tpe", "seed=0", "nothing to search for"),
    ],
)
def test_a_space_that_a_sampler_cannot_search_is_refused(
    sampler: str, word: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        check_sampler(sampler, space_of(parse_sweep([word]).overrides))
