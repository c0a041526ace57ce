"""What cannot fit into memory is refused by arithmetic, with the setting that is to blame.

The numbers are such that a program which builds anything of their size could not answer.
"""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.config.compose import compose
from harness.core.errors import ConfigError
from harness.core.model import ModelSpec, count_params, shapes
from harness.system.physical_memory import cgroup_limits, physical_memory
from harness.training.memory_check import check_memory, required_memory

HUGE = 10**15
TOO_LARGE = [
    ("replicas", ""),
    ("model.layers", ""),
    ("model.layers", "model=lstm semantics=torch"),
    ("model.layers", "model=gru task.samples=40 replicas=8"),
    ("model.units", ""),
    ("model.units", "replicas=8"),
    ("task.samples", ""),
    ("task.length", ""),
    ("task.length", "task=running_sum"),
    ("task.window", "task=next_value"),
    ("task.horizon", "task=multi_step"),
    ("task.probe", "task=next_value task.series=ramp"),
    ("task.features", "task=gaussian"),
    ("task.outputs", "task=gaussian"),
]


@pytest.mark.parametrize(("key", "others"), TOO_LARGE)
def test_the_setting_that_is_to_blame_is_named(key: str, others: str) -> None:
    config = compose([*others.split(), f"{key}={HUGE}"])
    with pytest.raises(ConfigError, match=f"^{key}={HUGE}: needs at least .*; choose less\\.$"):
        check_memory(config)


def test_all_are_named_that_have_to_be_less() -> None:
    config = compose([f"task.samples={HUGE}", f"replicas={HUGE}", "model.units=4"])
    with pytest.raises(ConfigError) as refused:
        check_memory(config)
    assert f"replicas={HUGE} and task.samples={HUGE}: " in str(refused.value)
    assert str(refused.value).endswith("choose less of them.")


@pytest.mark.parametrize(
    "words",
    [
        f"trainer.epochs={10**12}",
        f"trainer.batch_size={HUGE}",
        f"trainer.patience={HUGE}",
        f"trainer.checkpoint_every={HUGE}",
        f"seed={10**400}",
        "replicas=64",
    ],
)
def test_what_takes_no_memory_is_no_matter(words: str) -> None:
    check_memory(compose(words.split()))


@pytest.mark.parametrize("word", [f"trainer.epochs={10**12 + 1}", f"optimizer.lr={10**400}"])
def test_what_no_arithmetic_can_do_is_refused(word: str) -> None:
    with pytest.raises(ConfigError, match=f"^{word}: must be from "):
        compose([word])


def test_a_run_needs_at_least_its_data_and_weights() -> None:
    config = compose(["task.samples=1000", "task.length=10", "optimizer=sgd", "precision=float64"])
    data, weights = 2 * 8 * 1000 * (10 + 1), 2 * 2 * 8 * 1121
    assert data + weights <= required_memory(config) <= 2 * (data + weights)
    four = compose(["task.samples=1000", "replicas=4"])
    assert required_memory(four) > 3 * required_memory(replace(four, replicas=1))


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("layers", [1, 2, 3, 7])
def test_parameters_are_counted_without_listing_them(cell: str, layers: int) -> None:
    model = ModelSpec(
        cell=cell,
        features=3,
        units=5,
        layers=layers,
        activation="tanh",
        returns="last",
        head="dense",
        outputs=2,
        biases="double",
    )
    sizes = [
        rows * int(columns[0]) if columns else rows for rows, *columns in shapes(model).values()
    ]
    assert count_params(model) == sum(sizes)
    assert count_params(replace(model, layers=HUGE)) > HUGE


def test_a_container_has_less_memory_than_its_machine(tmp_path: Path) -> None:
    own, groups = tmp_path / "cgroup", tmp_path / "groups"
    (groups / "a/b").mkdir(parents=True)
    (groups / "memory/docker").mkdir(parents=True)
    for place, text in (
        ("a/memory.max", "3000\n"),
        ("a/b/memory.max", "max\n"),
        ("memory/docker/memory.limit_in_bytes", "2000"),
    ):
        (groups / place).write_text(text)
    assert cgroup_limits(groups, own) == []
    own.write_text("0::/a/b\n")
    assert cgroup_limits(groups, own) == [3000]
    own.write_text("3:cpu,memory:/docker\n1:cpu:/a\n")
    assert cgroup_limits(groups, own) == [2000]


def test_this_machine_has_memory() -> None:
    assert 2**28 < physical_memory() < 2**50
