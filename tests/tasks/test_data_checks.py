"""Data that would give wrong numbers are refused before training, in one line that says where they
are; the same values in any type of number give the same run.

The tasks arrive as a user's do, by `_target_` and `--config-dir` (`tests/support/own_task.py`).
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.config.compose import compose
from harness.config.schema import Config
from harness.core.errors import ConfigError
from harness.tasks import Samples
from harness.tracking.journal import Event, read
from harness.training.plan import prepare
from harness.training.splits import Splits
from tests.support.command_lines import Ending, run_all
from tests.support.own_task import Own, OwnLabels, OwnSteps, options

STANDARD = {"scale": "standard"}
DOUBLE = {"precision": "float64"}
UNKNOWN = "targets are NaN only if all of them are, for none."
REAL = "it must be a NumPy array of real numbers."
SEEDS = "must not depend on the seed"

# The task, its fault, other settings; then what the line must hold.
BAD = [
    (OwnLabels, "1.5 test", {}, "y is 1.5 in the test split, row 1 (sample 37 of", "output 0"),
    (OwnLabels, "1.5 probe", {}, "y is 1.5 in the probe split, row 0 (sample 0 of probes()", ""),
    (Own, "x nan", {}, "x is nan in the train split, row 20 (sample 20", "step 2, feature 1: "),
    (Own, "x nan val", {}, "x is nan in the val split, row 1 (sample 33", "step 0, feature 0"),
    (Own, "x nan everywhere", STANDARD, "row 0 (sample 0", "and 255 more: must be a finite"),
    (Own, "x nan probe", {}, "x is nan in the probe split, row 1 (", "step 3, feature 0"),
    (Own, "y nan", {}, "y is nan in the train split, row 31 (sample 31", UNKNOWN),
    (Own, "y nan test", STANDARD, "y is nan in the test split, row 2 (sample 38", UNKNOWN),
    (OwnLabels, "y nan test", {}, "y is nan in the test split, row 2 (sample 38", UNKNOWN),
    (Own, "y inf val", {}, "y is inf in the val split, row 2 (sample 34", "output 0"),
    (Own, "y nan probe", {}, "y is nan in the probe split, row 2 (", UNKNOWN),
    (Own, "y nan everywhere", {}, "trainer.epochs=", "no targets"),
    (OwnSteps, "y step", {}, "y is inf in the val split, row 1 (sample 33", "step 2, output 0"),
    (Own, "x nan", {"replicas": 2}, "(sample 20 of draw()), step 2, feature 1, seed 7", ""),
    (Own, "x 1e39", {}, "x is 1e+39 in the test split, row 1 (sample 37", "precision=float64"),
    (Own, "x 1e-50", {}, "x is ", "it is beyond the range of float32, 1e-38 to 3e+38"),
    (Own, "x 1e-200", STANDARD | DOUBLE, "feature 0 of x goes from", "variance"),
    (Own, "y 1e-30", {}, "e-28 in the train split, row", "its square is beyond"),
    (Own, "y 1e200", DOUBLE, "y is 1e+200 in the test split, row 0", "square"),
    (Own, "y standard 1e200", STANDARD, "y goes from", "cannot hold the variance"),
    (Own, "y list", {}, "draw() gave y as a list", REAL),
    (Own, "x object", {}, "draw() gave x as an array of object", REAL),
    (Own, "x complex", {}, "draw() gave x as an array of complex128", REAL),
    (Own, "y str", STANDARD, "draw() gave y as an array of <U", REAL),
    (Own, "x masked", {}, "draw() gave x as a MaskedArray", REAL),
    (Own, "x rank", {}, "draw() gave x (40, 4) and y (40, 1)", "x (40, T, F) and y (40, O)"),
    (Own, "y rank", {}, "draw() gave x (40, 4, 2) and y (40,)", "x (40, T, F) and y (40, O)"),
    (Own, "x empty", {}, "draw() gave x (40, 0, 2)", "none of them empty"),
    (Own, "nothing", {}, "draw() gave None", "harness.tasks.Samples(x, y)"),
    (Own, "pair", {}, "draw() gave a tuple", "harness.tasks.Samples(x, y)"),
    (Own, "mask list", {}, "draw() gave the mask as a list", "a NumPy array of bool"),
    (Own, "span backwards", {}, "draw() gave the span (40, 2) of int64", "whole numbers"),
    (Own, "span shape", {}, "draw() gave the span (40,) of int64", "(40, 2) whole numbers"),
    (Own, "span nan", {}, "draw() gave the span (40, 2) of float64", "(40, 2) whole numbers"),
    (Own, "probe of one feature", {}, "probes() gave x with 1 features", "draw() has 2"),
    (Own, "probe of two outputs", {}, "probes() gave y with 2 outputs", "draw() has 1"),
    (Own, "steps by seed", {"replicas": 3}, "draw() gave x (40, ", SEEDS),
    (Own, "span by seed", {"replicas": 2}, "another span with seed 7", SEEDS),
]
# The same from the command line: one of each kind.
REFUSED = [
    ("OwnMae", "none", [], "task=own: loss=mae: must be mse (", "or bce ("),
    ("OwnLabels", "signs", [], "y is -1 in the train split, row", "0, 1, or a probability"),
    ("Own", "x inf test", [], "x is -inf in the test split, row 3 (sample 39", "step 3, feature 1"),
    ("Own", "x 1e200", ["task.scale=standard"], "feature 0 of x goes from 0 to 1e+200", "=none"),
    ("Own", "y 1e25", [], "y is 1e+25 in the train split, row 7", "its square is beyond"),
    ("Own", "x list", [], "draw() gave x as a list", REAL),
]
RUN = {
    "float64": ("Own", "none", []),
    "int64": ("Own", "none", ["task.x_dtype=int64", "task.y_dtype=uint8"]),
    "soft labels": ("OwnLabels", "soft", []),
}
# Finite, but its sums are not.
FAILED = ("Own", "x 3e38 test", ["model=rnn_relu", "semantics.kernel_init=standard_normal"])


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """With the task `Own`. To compose it takes longer than all that is done with it below."""
    own = options(tmp_path_factory.mktemp("own") / "conf")
    return compose(["task=Own", "model.units=3", "seed=7"], own)


def data(base: Config, cls: type[Own] = Own, **changes: Any) -> Splits:
    """What the task of class `cls` is trained on; `changes` are its settings, or the run's."""
    run = {key: changes.pop(key) for key in ("replicas", "precision", "trainer") if key in changes}
    settings: dict[str, Any] = vars(base.task) | changes
    return prepare(replace(base, task=cls(**settings), **run)).splits


@pytest.mark.parametrize(
    ("cls", "fault", "changes", "received", "valid"),
    BAD,
    ids=[" ".join([cls.__name__, fault, *changes]) for cls, fault, changes, *_ in BAD],
)
def test_data_that_cannot_be_trained_on_are_refused(
    base: Config, cls: type[Own], fault: str, changes: dict[str, Any], received: str, valid: str
) -> None:
    with pytest.raises(ConfigError) as error:
        data(base, cls, fault=fault, **changes)
    message = str(error.value)
    assert "task=own" in message
    assert "\n" not in message
    assert received in message
    assert valid in message


def test_what_is_no_fault_is_accepted(base: Config) -> None:
    forward = replace(base.trainer, epochs=0)
    assert not data(base, fault="y nan everywhere", trainer=forward).train.has_targets
    assert not data(base, fault="y nan everywhere probe").parts["probe"].has_targets
    for cls in (Own, OwnSteps):
        splits = data(base, cls, fault="padding", masked=True, **STANDARD)
        assert all(
            np.isfinite([part.x.sum(), part.y.sum()]).all() for part in splits.parts.values()
        )
    assert data(base, fault="span").parts.keys() == {"train", "val", "test"}


def command(folder: Path, task: str, fault: str, more: list[str]) -> list[str]:
    own = ["--config-dir", str(folder), f"task={task}", f"task.fault={fault}"]
    return [*own, "tracking=journal", "trainer.epochs=1", *more]


@pytest.fixture(scope="module")
def endings(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Ending]]:
    """How the program ended with all of `REFUSED`, then `RUN`, then `FAILED`; where it ran."""
    folder = tmp_path_factory.mktemp("data")
    own = options(folder / "conf")
    cases = [case[:3] for case in REFUSED] + [*RUN.values(), FAILED]
    tasks = [(folder / str(i), command(own, *case)) for i, case in enumerate(cases)]
    return folder, run_all(tasks)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(REFUSED)), ids=[case[1] for case in REFUSED])
def test_the_program_refuses_them_in_one_line(
    endings: tuple[Path, list[Ending]], number: int
) -> None:
    done, (*_, received, valid) = endings[1][number], REFUSED[number]
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1), done.err
    assert done.err.startswith("task=own: ")
    assert received in done.err
    assert valid in done.err
    assert done.imported == []
    assert done.left == []


def journal(endings: tuple[Path, list[Ending]], number: int) -> list[Event]:
    [path] = (endings[0] / str(number)).glob("results/runs/*/journal.jsonl")
    return list(read(path.parent))


@pytest.fixture
def runs(endings: tuple[Path, list[Ending]]) -> dict[str, list[Event]]:
    """The journals of `RUN`."""
    for number, name in enumerate(RUN, len(REFUSED)):
        assert (endings[1][number].code, endings[1][number].err) == (0, ""), name
    return {name: journal(endings, number) for number, name in enumerate(RUN, len(REFUSED))}


def measured(events: list[Event]) -> dict[str, list[float]]:
    """Every metric's last value."""
    found: dict[str, list[float]] = {}
    for event in events:
        found |= event["values"] if event["kind"] == "metrics" else {}
    return found


@pytest.mark.slow
def test_the_type_of_the_numbers_changes_no_digit_of_a_run(runs: dict[str, list[Event]]) -> None:
    one, other = measured(runs["float64"]), measured(runs["int64"])
    assert one.keys() == {"train/loss", "val/loss", "test/loss"}
    assert one == other
    digests = [e["digest"] for n in ("float64", "int64") for e in runs[n] if e["kind"] == "dataset"]
    assert len(digests) == 2
    assert len(set(digests)) == 1


@pytest.mark.slow
def test_a_run_with_soft_labels_has_no_accuracy(runs: dict[str, list[Event]]) -> None:
    assert measured(runs["soft labels"]).keys() == {"train/loss", "val/loss", "test/loss"}


@pytest.mark.slow
def test_a_test_loss_that_is_not_finite_fails_the_run(
    endings: tuple[Path, list[Ending]],
) -> None:
    done = endings[1][-1]
    assert done.code == 1
    assert "Diverged: test/loss not finite: inputs reach 3e+38; try task.scale=stand" in done.err
    end = journal(endings, len(REFUSED) + len(RUN))[-1]
    assert (end["kind"], end["status"]) == ("end", "FAILED")
    assert any("final.safetensors" in path for path in done.left), "what was trained is kept"


def with_draw(draw: Callable[[np.random.Generator], Samples]) -> type[Own]:
    """A task with another method `draw`."""
    return type("Drawn", (Own,), {"draw": lambda _, rng: draw(rng)})


@pytest.mark.parametrize("scale", ["none", "standard"])
@pytest.mark.parametrize("masked", [False, True], ids=["all real", "masked"])
@pytest.mark.parametrize("cls", [Own, OwnSteps])
@pytest.mark.parametrize(
    "dtypes",
    [("bool", "int64", "uint8", "float16", "float32", ">f8"), ("int64", "uint8", "float32", "<i2")],
    ids=["zeros and ones", "larger"],
)
def test_equal_values_of_any_type_give_equal_data(
    base: Config, cls: type[Own], masked: bool, scale: str, dtypes: tuple[str, ...]
) -> None:
    def digits(x: str, y: str) -> str:
        splits = data(base, cls, replicas=2, masked=masked, scale=scale, x_dtype=x, y_dtype=y)
        assert (splits.scale.x_std[..., 1] == 1).all(), "of the feature that is always 1"
        arrays = list(splits.training_data().arrays().values())
        assert all(np.isfinite(a).all() for a in arrays)
        arrays += vars(splits.scale).values()
        return repr([splits.digest(), [(a.dtype, a.tobytes()) for a in arrays]])

    large = "bool" if "bool" in dtypes else "float64"  # which decides what numbers are drawn
    assert len({digits(x, large) for x in dtypes} | {digits(large, y) for y in dtypes}) == 1


def test_the_order_in_memory_changes_no_digit(base: Config) -> None:
    """Sums of many numbers, whose last digit depends on the order in which they are added."""
    drawn = np.random.default_rng(0).normal(size=(40, 7, 3))
    digests = set()
    for x in (drawn, np.asfortranarray(drawn)):
        cls = with_draw(lambda _, x=x: Samples(x, x[:, 0, :1]))
        digests.add(data(base, cls, scale="standard").digest())
    assert len(digests) == 1


def test_what_a_user_drew_is_not_written_to(base: Config) -> None:
    x, y = np.ones((40, 4, 2)), np.ones((40, 4, 1))
    mask = np.arange(4) < np.full((40, 1), 2)
    cls = type("Drawn", (OwnSteps,), {"draw": lambda *_: Samples(x, y, mask=mask)})
    splits = data(base, cls, scale="standard")
    assert not splits.train.y.all(), "there are zeros at padding"
    assert (x == 1).all()
    assert (y == 1).all()


def test_the_seed_with_the_fault_is_named(base: Config) -> None:
    def draw(rng: np.random.Generator) -> Samples:
        x = rng.uniform(size=(40, 4, 2))
        x[3, 0, 0] = next(values)
        return Samples(x, x[:, 0])

    values = iter([0.5, np.nan, 0.5])
    with pytest.raises(ConfigError, match=r"row 3 \(sample 3 of draw\(\)\), .*, seed 8.*: must be"):
        data(base, with_draw(draw), replicas=3)
