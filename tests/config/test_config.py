"""Every YAML file composes into a checked `Config`, and every bad value is refused in one line.

Decides on the real `conf/`, so a new option is tested by being there. What the command line says
wins over a preset. A refusal names the key, the value received and what would have been valid, and
comes before any framework is imported.
"""

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Literal, Optional

import numpy as np
import pytest
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from harness.config import backend as backend_module
from harness.config.backend import BackendConfig
from harness.config.kernels import StartUp
from harness.config.parsing import from_hydra
from harness.config.schema import Config
from harness.config.serialise import config_text, nested_params
from harness.core.errors import ConfigError
from harness.tasks.sum import Sum
from harness.training.splits import make_splits
from tests.support import ROOT
from tests.support.configs import CONF, composed, config

GROUPS = ("task", "model", "optimizer", "semantics", "backend", "trainer", "tracking", "experiment")


def options(group: str) -> list[str]:
    folder = CONF / group
    found = sorted(p.relative_to(folder).with_suffix("").as_posix() for p in folder.rglob("*.yaml"))
    assert found, f"conf/{group} holds no option"
    return found


@pytest.fixture
def any_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which packages and devices are here does not decide whether a YAML file is right."""
    monkeypatch.setattr(BackendConfig, "check", lambda *_: None)


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend_module, "gpu_present", lambda: False)


def test_the_folders_are_the_command_line() -> None:
    folders = {p.name for p in CONF.iterdir() if p.is_dir()}
    assert folders == {*GROUPS, "hydra"}, "a new group belongs into GROUPS"


def needed_by(choice: str, folder: Path) -> list[str]:
    """The words that an option cannot be used without."""
    if choice != "task=file":
        return []
    np.savez(folder / "mine.npz", x=np.ones((20, 3, 1)), y=np.ones((20, 1)))
    return [f"task.path={folder}/mine.npz"]


@pytest.mark.usefixtures("any_machine")
@pytest.mark.parametrize("choice", [f"{g}={o}" for g in GROUPS for o in options(g)])
def test_every_option_composes(choice: str, tmp_path: Path) -> None:
    run = config(choice, *needed_by(choice, tmp_path))
    group, _, option = choice.partition("=")
    # Presets change other groups; task names are those of MLflow experiments, so they stay short.
    if group in ("backend", "optimizer", "semantics", "tracking"):
        assert getattr(run, group).name == option
    if group == "task":
        assert run.task.name


def choices() -> list[tuple[str, str, str]]:
    """Every model, optimizer and backend at least once, in as few compositions as possible."""
    groups = [options(group) for group in ("model", "optimizer", "backend")]
    rounds = range(max(map(len, groups)))
    return [(m[i % len(m)], o[i % len(o)], b[i % len(b)]) for m, o, b in [groups] for i in rounds]


@pytest.mark.usefixtures("any_machine")
@pytest.mark.parametrize("preset", options("experiment"))
@pytest.mark.parametrize(("model", "optimizer", "backend"), choices())
def test_the_command_line_wins_over_every_preset(
    preset: str, model: str, optimizer: str, backend: str
) -> None:
    run = config(
        f"experiment={preset}", f"model={model}", f"optimizer={optimizer}", f"backend={backend}"
    )
    assert (run.optimizer.name, run.backend.name) == (optimizer, backend)
    cell, _, activation = model.partition("_")
    assert (run.model.cell, run.model.activation) == (cell, activation or "tanh")


def test_single_values_win_over_a_preset() -> None:
    preset = "experiment=notebook_multi_step"
    assert (config(preset).trainer.epochs, config(preset).model.units) == (200, 50)
    run = config(preset, "trainer.epochs=3", "model.units=8", "task.horizon=4", "seed=5")
    assert (run.trainer.epochs, run.model.units, run.task.horizon, run.seed) == (3, 8, 4, 5)  # type: ignore[attr-defined]
    assert run.trainer.batch_size == 5, "what is not overridden stays the preset's"


def test_another_task_wins_over_a_preset() -> None:
    run = config("experiment=notebook_ramp", "task=binary")
    assert run.task.name == "binary"
    assert run.trainer.batch_size == 25


def test_the_order_of_the_command_line_does_not_matter() -> None:
    one = config("experiment=notebook_sum", "model=lstm", "trainer.epochs=3")
    other = config("trainer.epochs=3", "model=lstm", "experiment=notebook_sum")
    assert one == other


def test_replicas_count_on_from_the_seed() -> None:
    assert config("seed=0").seeds == [0]
    assert config("seed=5", "replicas=3").seeds == [5, 6, 7]


@pytest.mark.parametrize(("task", "returns"), [("sum", "last"), ("running_sum", "every_step")])
def test_the_task_decides_what_the_network_returns(task: str, returns: str) -> None:
    run = config(f"task={task}")
    spec = run.model.spec(run.task, run.semantics, features=3, outputs=2)
    assert (spec.features, spec.units, spec.outputs, spec.returns) == (3, 32, 2, returns)


# Overrides, then what the message must hold: the key with the value received, what is valid.
BAD = [
    (["trainer.epochs=-1"], "trainer.epochs=-1", "at least 0"),
    (["trainer.epochs=abc"], "trainer.epochs=abc", "a whole number"),
    (["trainer.epochs=1.5"], "trainer.epochs=1.5", "a whole number"),
    (["trainer.batch_size=0"], "trainer.batch_size=0", "at least 1"),
    (["trainer.keep_checkpoints=0"], "trainer.keep_checkpoints=0", "at least 1"),
    (["trainer.schedule=cosin"], "trainer.schedule=cosin", "Did you mean 'cosine'?"),
    (["trainer.clip=0"], "trainer.clip=0", "above 0"),
    (["trainer.shuffle=maybe"], "trainer.shuffle=maybe", "true or false"),
    (["+trainer.epoch=1"], "trainer.epoch:", "Did you mean 'epochs'?"),
    (["+trainer.foo=1"], "trainer.foo:", "epochs"),
    (["+foo=1"], "foo:", "replicas"),
    (["~trainer.epochs"], "trainer.epochs:", "missing"),
    (["task=notebook/sum", "trainer.patience=3"], "trainer.patience=3", "task.val_fraction"),
    (["model.units=0"], "model.units=0", "at least 1"),
    (["model.units=true"], "model.units=true", "a whole number"),
    (["model=lstm", "model.activation=relu"], "model.activation=relu", "tanh"),
    (["model.head=conv"], "model.head=conv", "dense, none"),
    (["replicas=0"], "replicas=0", "at least 1"),
    (["replicas=null"], "replicas=null", "a whole number"),
    (["seed=-1"], "seed=-1", "at least 0"),
    (["threads=0"], "threads=0", "a whole number from 1 to 1024, or auto"),
    (["threads=1025"], "threads=1025", "a whole number from 1 to 1024, or auto"),
    (["threads=many"], "threads=many", "a whole number from 1 to 1024, or auto"),
    (["threads=1.5"], "threads=1.5", "a whole number or a word"),
    (["threads=true"], "threads=true", "a whole number or a word"),
    (["threads=null"], "threads=null", "a whole number or a word"),
    (["trainer.deterministic=2.5"], "trainer.deterministic=2.5", "true or false"),
    (["backend.kernels=3"], "backend.kernels=3", "a list, or a mapping such as"),
    (["backend.kernels.loops=soon"], "backend.kernels.loops=soon", "the seconds of its start"),
    (["backend.kernels.loops=-1"], "backend.kernels.loops=-1", "the seconds of its start"),
    (["backend.kernels.loops={per: day}"], "backend.kernels.loops=", "time_step, replica"),
    (["backend=torch", "backend.kernels.compiled.per=day"], "kernels.compiled=", "time_step"),
    (["precision=float16"], "precision=float16", "float32, float64"),
    (["device=tpu"], "device=tpu", "auto, cpu, cuda"),
    (["device=cuda", "backend=torch"], "device=cuda", "device=cpu"),
    (["device=cuda", "backend=numpy"], "device=cuda", "device=cpu"),
    (["++backend.packages={nonexistent_module: some-package}"], "backend=numpy", "some-package"),
    (["optimizer.lr=nan"], "optimizer.lr=nan", "at least 0"),
    (["optimizer.lr=-1"], "optimizer.lr=-1", "at least 0"),
    (["optimizer=sgd", "optimizer.nesterov=true"], "optimizer.nesterov=true", "momentum above 0"),
    (["task.val_fraction=1.2"], "task.val_fraction=1.2", "from 0 to 1"),
    (["task.val_fraction=0.5", "task.test_fraction=0.5"], "task.test_fraction=0.5", "below 1"),
    (["task.seed=abc"], "task.seed=abc", "a whole number or null"),
    (["task=next_value", "task.probe=1"], "task.probe=1", "ramp"),
    (["semantics.biases=triple"], "semantics.biases=triple", "single, double"),
]
OVERRIDES = [overrides for overrides, _, _ in BAD]


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize(
    ("overrides", "received", "valid"), BAD, ids=[" ".join(o) for o in OVERRIDES]
)
def test_a_bad_value_is_refused_in_one_line(
    overrides: list[str], received: str, valid: str
) -> None:
    with pytest.raises(ConfigError) as error:
        config(*overrides)
    message = str(error.value)
    assert received in message
    assert valid in message
    assert "\n" not in message


@pytest.mark.parametrize("key", ["trainer.foo=1", "model=transformer", "nothing=1"])
def test_hydra_names_a_key_that_does_not_exist(key: str) -> None:
    with pytest.raises(HydraException, match=key.partition("=")[0]):
        config(key)


def test_an_interpolation_that_leads_nowhere_is_named() -> None:
    with pytest.raises(ConfigError, match=r"^model\.units: .*nope.*$"):
        config("model.units=${nope}")


def test_no_head_needs_as_many_units_as_targets() -> None:
    run = config("model.head=none", "model.units=3")
    with pytest.raises(ConfigError) as error:
        run.model.spec(run.task, run.semantics, features=1, outputs=2)
    message = str(error.value)
    assert "\n" not in message
    assert all(part in message for part in ("model.units=3", "model.units=2", "model.head=dense"))
    assert run.model.spec(run.task, run.semantics, features=1, outputs=3).outputs == 3


def test_returning_every_step_needs_a_task_with_a_target_at_every_step() -> None:
    run = config("model.returns=every_step")
    with pytest.raises(ConfigError) as error:
        run.model.spec(run.task, run.semantics, features=1, outputs=1)
    message = str(error.value)
    assert "\n" not in message
    assert all(part in message for part in ("model.returns=every_step", "task=sum", "last"))


def numbers(run: Config) -> Iterator[str]:
    """The keys of every floating-point number of a run."""
    for group in (f.name for f in fields(run)):
        node = getattr(run, group)
        if is_dataclass(node):
            for field in fields(node):
                if isinstance(getattr(node, field.name), float):
                    yield f"{group}.{field.name}"


def accepts(base: DictConfig, key: str, value: float) -> bool:
    changed = base.copy()
    OmegaConf.update(changed, key, value)
    try:
        from_hydra(changed)
    except ConfigError as error:
        assert key in str(error)  # noqa: PT017 - a value may be accepted as well
        return False
    return True


def test_no_number_may_be_nan() -> None:
    accepted, checked = set(), set()
    for chosen in (["task=next_value"], ["optimizer=sgd"], ["optimizer=rmsprop"]):
        base = composed(*chosen, "trainer.clip=1.0")
        if "optimizer=rmsprop" in chosen:
            base.optimizer.rho = 0.9
        keys = set(numbers(from_hydra(base)))
        accepted |= {key for key in keys if accepts(base, key, math.nan)}
        checked |= keys
    assert {"trainer.clip", "optimizer.rho", "task.ar_noise"} < checked
    assert accepted == set()


def test_numbers_that_enter_the_arithmetic_must_be_finite() -> None:
    keys = ("optimizer.lr", "optimizer.weight_decay", "semantics.forget_bias", "task.start")
    base = composed("task=next_value")
    assert [key for key in keys if accepts(base, key, math.inf)] == []


# Runs every bad input in one process without pytest, and answers with what has been imported.
REFUSE_ALL = """
import json, sys
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException
from harness.config import backend
from harness.config.parsing import from_hydra
from harness.core.errors import ConfigError

backend.gpu_present = lambda: False
accepted = []
for overrides in json.loads(sys.argv[1]):
    try:
        with initialize_config_dir(sys.argv[2], version_base=None):
            from_hydra(compose("config", overrides=overrides))
    except (ConfigError, HydraException, OmegaConfBaseException):
        continue
    accepted.append(overrides)
heavy = ("torch", "tensorflow", "keras", "mlflow", "jax")
print(json.dumps([accepted, [name for name in heavy if name in sys.modules]]))
"""


@pytest.mark.slow
def test_refusing_imports_no_framework() -> None:
    good = ["task=sum"]  # proves that the program above can say "accepted"
    done = subprocess.run(
        [sys.executable, "-c", REFUSE_ALL, json.dumps([*OVERRIDES, good]), str(CONF)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    accepted, imported = json.loads(done.stdout)
    assert accepted == [good]
    assert imported == []


def test_a_task_with_targets_at_every_step_can_be_learnt_from_the_last_alone() -> None:
    run = config("task=running_sum", "model.returns=last")
    splits = make_splits(run.task, run.seeds, run.precision, last_target=True)
    whole = make_splits(run.task, run.seeds, run.precision)
    np.testing.assert_array_equal(splits.train.y, whole.train.y[:, :, -1])
    assert run.model.spec(run.task, run.semantics, 1, 1).returns == "last"


@pytest.mark.usefixtures("any_machine")
@pytest.mark.parametrize("choice", [f"{g}={o}" for g in GROUPS for o in options(g)])
def test_what_is_kept_of_a_configuration_makes_it_again(choice: str, tmp_path: Path) -> None:
    needed = needed_by(choice, tmp_path)
    run = config(choice, *needed, "optimizer.lr=1e-9", "tracking.uri=sqlite:////x y/m.db")
    (tmp_path / "config.yaml").write_text(config_text(run), encoding="utf-8")
    kept = OmegaConf.load(tmp_path / "config.yaml")
    assert isinstance(kept, DictConfig)
    assert from_hydra(kept) == run
    assert config_text(run) == OmegaConf.to_yaml(OmegaConf.create(nested_params(run)))


TEXTS = ["1e3", "true", "null", "12", "~", "a: b", "ünï", "#x", "a\nb", "y", "no", "0x1f", "1_000"]
TEXTS += ["-", "?", "'q'", '"d"', "2026-11-27", "1:30", "nan", ".inf", "long " * 60, "- a", "{x}"]
TEXTS += ["@a", "%a", "!t", "&a", "*a", "|", ">", " lead", "trail "]


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_kept_as_a_text(text: str) -> None:
    run = config()
    named = replace(run, task=replace(run.task, name=text))
    assert OmegaConf.create(config_text(named)).task.name == text


class Mode(Enum):
    FAST = 1
    SLOW = 2


@dataclass(frozen=True)
class Odd(Sum):
    """A task of a user's own, with fields of every kind."""

    table: dict[str, int] | None = None
    names: tuple[str, ...] = ()
    place: Path = Path()
    share: float | None = None
    level: Optional[int] = None  # noqa: UP045 - as older files have it
    mode: Mode = Mode.FAST


@dataclass(frozen=True)
class Unknown(Sum):
    way: Literal["up", "down"] = "up"


KINDS = {
    "table=3": "table=3: must be a mapping such as {a: b}, each a whole number or null.",
    "table={a: x}": "table={'a': 'x'}: must be a mapping such as {a: b}, each a whole number or",
    "names=3": "names=3: must be a list such as [a,b]",
    "place={a: 1}": "place={'a': 1}: must be a path.",
    "share=a": "share=a: must be a number or null.",
    "level=a": "level=a: must be a whole number or null.",
    "mode=slow": "mode=slow: must be one of FAST, SLOW.",
    "loss=mse": "loss: there is no such key.",
}


@pytest.mark.parametrize("word", KINDS)
def test_a_kind_of_value_is_said_in_words(word: str) -> None:
    with pytest.raises(ConfigError) as refused:
        config(f"task._target_={__name__}.Odd", f"++task.{word}")
    assert str(refused.value).startswith(f"task.{KINDS[word]}")
    assert "typing" not in str(refused.value)


def test_a_field_that_cannot_be_checked_is_named() -> None:
    with pytest.raises(ConfigError, match=r"^task\.way: Unknown\.way must be declared as int"):
        config(f"task._target_={__name__}.Unknown")


def test_kernels_are_a_list_or_a_mapping_to_the_seconds_of_their_start() -> None:
    usual = config("backend=torch").backend
    for kernels in ([], None, {}):
        assert replace(usual, kernels=kernels).start_ups == {}
    assert replace(usual, kernels=["a", "b"]).start_ups == {"a": StartUp(0), "b": StartUp(0)}
    assert list(usual.start_ups) == ["modules", "stacked", "compiled", "graphed"]
    estimates = [StartUp(2.0, per).estimate(30, 5) for per in (None, "time_step", "replica")]
    assert estimates == [2, 60, 10]
