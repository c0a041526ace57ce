"""A run that is gone on with, in any backend, learns what the uninterrupted run learns.

Decides on curves in float64 (the first resumed step and every epoch, optimiser memory included),
on early stopping across the border, on processes that are stopped, on where a run is found, and on
what is refused. `tests/training/test_trainer.py` decides which epochs are kept.
"""

import json
import os
import shlex
import shutil
import signal
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from safetensors.numpy import load_file

from harness.config.overrides import with_force_add, without_force_add
from harness.config.parsing import from_hydra
from harness.config.schema import Config
from harness.console.command_line import override
from harness.core.errors import ConfigError
from harness.core.file_names import JOURNAL
from harness.core.tolerances import LIMITS
from harness.runs import run as run_module
from harness.runs import summary
from harness.runs.find import find_run
from harness.runs.launched_jobs import note_job
from harness.runs.resume import command, configuration, resumed
from harness.runs.run import Identity, Result
from harness.tracking.journal import Journal, read
from harness.tracking.mlflow_store import client
from harness.training.checkpoints import load_checkpoint, save_checkpoint
from harness.training.load_backend import load_backend
from harness.training.plan import Plan, prepare
from tests.support import program
from tests.support.backend_classes import BACKENDS
from tests.support.configs import composed
from tests.support.program import uses_mlflow

pytestmark = uses_mlflow

SMALL = ("task.samples=60", "task.length=6", "trainer.batch_size=16", "model.units=5")
SMALL += ("precision=float64", "tracking=journal", "trainer.epochs=6", "trainer.checkpoint_every=3")

# Cell and optimiser; 48 samples for training make 3 steps an epoch. Learning rates are so large
# that losses move by more than rounding, and memory by more than a step.
CASES = {
    "adam": ("model=lstm", "optimizer.lr=0.01"),
    "momentum": (
        *("model=rnn", "optimizer=sgd", "optimizer.momentum=0.9", "optimizer.lr=0.003"),
        "trainer.schedule=cosine",
    ),
    "rmsprop": ("model=gru", "optimizer=rmsprop", "optimizer.lr=0.005", "replicas=2"),
    "keras": (
        *("model=gru", "model.layers=2", "semantics=keras", "optimizer.lr=0.01"),
        *("optimizer.weight_decay=0.01", "trainer.clip=0.5"),
    ),
}
NAMES = list(BACKENDS)
PAIRS = [*zip(NAMES, [*NAMES[1:], NAMES[0]], strict=True), ("numpy", "numpy")]


def settings(directory: Path, *overrides: str) -> Config:
    """As the program makes them of a command line."""
    words = with_force_add(list(overrides))
    node = composed(*words)
    if node.resume is not None:
        node = configuration(node, without_force_add(words), directory)
    return from_hydra(node)


def plan(directory: Path, *overrides: str) -> Plan:
    return resumed(prepare(settings(directory, *overrides)))[0]


def run(directory: Path, *overrides: str) -> Result:
    """What `python -m harness OVERRIDES` does, with its files in `directory`."""
    config = settings(directory, *overrides)
    result = run_module.run(config, Identity(directory.name, directory, list(overrides)))
    assert bool(result.wait_for_address()) == (config.tracking.name == "mlflow"), (
        "all of it has arrived"
    )
    return result


def curve(directory: Path, metric: str = "train/loss") -> np.ndarray:
    """`(epochs, R)`, from epoch 1."""
    found = program.journalled(directory, metric)
    assert [step for step, _ in found] == list(range(1, len(found) + 1))
    return np.array([values for _, values in found])


def apart(one: np.ndarray, other: np.ndarray) -> float:
    """The largest relative difference of two curves of one length."""
    assert one.shape == other.shape
    return float((np.abs(one - other) / np.abs(one)).max())


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The directory of a case's run in a backend: six epochs, with a checkpoint at the third."""

    @cache
    def directory(case: str, backend: str) -> Path:
        folder = tmp_path_factory.mktemp(f"{case}-{backend}")
        run(folder, *SMALL, *CASES[case], f"backend={backend}")
        return folder

    return directory


# The curve --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("before", "after"), PAIRS, ids=["-".join(pair) for pair in PAIRS])
@pytest.mark.parametrize("case", CASES)
def test_the_curve_is_that_of_the_uninterrupted_run(
    uninterrupted: Any, tmp_path: Path, case: str, before: str, after: str
) -> None:
    whole = uninterrupted(case, before)
    resumed = (f"resume={whole}", "checkpoint=epoch-00003", f"backend={after}")
    run(tmp_path, *resumed)
    for metric in ("train/loss", "val/loss"):
        assert apart(curve(whole, metric), curve(tmp_path, metric)) < LIMITS["float64"].losses
    assert curve(tmp_path)[:3].tolist() == curve(whole)[:3].tolist(), "copied"
    assert curve(tmp_path).shape[0] == 6


def steps(plan: Plan, epoch: int) -> np.ndarray:
    """The loss of every step of one epoch `(S, R)`, from the plan's start."""
    backend = plan.build(load_backend(plan.config.backend))
    calls = plan.schedule.epoch(epoch)
    return np.concatenate([np.array(backend.train_epoch(*call)) for call in calls])


@pytest.mark.parametrize("backend", [name for name in NAMES if name != "numpy"])
@pytest.mark.parametrize("case", CASES)
def test_backends_agree_from_the_first_step_on(
    uninterrupted: Any, tmp_path: Path, case: str, backend: str
) -> None:
    resumed = (f"resume={uninterrupted(case, 'numpy')}", "checkpoint=epoch-00003")
    expected = steps(plan(tmp_path, *resumed), 4)
    assert len(expected) == 3
    found = steps(plan(tmp_path, *resumed, f"backend={backend}"), 4)
    assert apart(expected, found) < LIMITS["float64"].losses


@pytest.mark.parametrize("case", CASES)
def test_without_the_optimisers_memory_the_curve_is_another(
    uninterrupted: Any, tmp_path: Path, case: str
) -> None:
    """So the tests above can fail."""
    whole = uninterrupted(case, "numpy")
    copy = shutil.copytree(whole, tmp_path / "copy")
    path = copy / "checkpoints/epoch-00003.safetensors"
    found = load_checkpoint(path)
    for slot in found.state.slots.values():
        for name in slot:
            slot[name] *= 0
    save_checkpoint(path, found)
    run(tmp_path / "0", f"resume={copy}", "checkpoint=epoch-00003")
    assert apart(curve(whole)[3:], curve(tmp_path / "0")[3:]) > 1e-4


def test_early_stopping_stops_where_the_uninterrupted_run_does(tmp_path: Path) -> None:
    chosen = ("task=binary", "task.rule=random", "task.samples=100", "optimizer.lr=0.02")
    chosen += ("trainer.epochs=40", "trainer.patience=2", "replicas=4", "seed=10")
    chosen += ("trainer.checkpoint_every=1", "precision=float64", "tracking=journal")
    whole = run(tmp_path / "whole", *chosen).outcome
    assert whole.best_epoch is not None
    assert whole.stopped_early
    assert len(set(whole.best_epoch)) > 1, "or else this decides little"
    between = int(whole.best_epoch.min()) + 2  # by then one replica has stopped
    assert between < whole.epochs
    for epoch in (1, between, whole.epochs - 1):
        directory = tmp_path / str(epoch)
        resumed = (f"resume={tmp_path / 'whole'}", f"checkpoint=epoch-{epoch:05d}")
        rest = run(directory, *resumed).outcome
        assert rest.epochs == whole.epochs
        assert rest.best_epoch is not None
        assert rest.best_epoch.tolist() == whole.best_epoch.tolist()
        for name, values in whole.values.items():
            assert rest.values[name].tolist() == values.tolist(), name
        one, other = (
            load_file(d / "weights/final.safetensors") for d in (tmp_path / "whole", directory)
        )
        assert all((one[name] == other[name]).all() for name in one)
    with pytest.raises(ConfigError, match=f"trainer.patience=2.*by epoch {whole.epochs};"):
        run(tmp_path / "over", f"resume={tmp_path / 'whole'}", "trainer.epochs=80")
    more = run(tmp_path / "more", f"resume={tmp_path / 'whole'}", "trainer.patience=null")
    assert more.outcome.epochs == 40


def test_a_finished_run_can_be_trained_on(uninterrupted: Any, tmp_path: Path) -> None:
    run(tmp_path / "twelve", *SMALL, *CASES["adam"], "trainer.epochs=12")
    result = run(tmp_path / "more", f"resume={uninterrupted('adam', 'numpy')}", "trainer.epochs=12")
    assert curve(tmp_path / "more").tolist() == curve(tmp_path / "twelve").tolist()
    assert result.outcome.epochs == 12


def test_precision_may_change(uninterrupted: Any, tmp_path: Path) -> None:
    whole = uninterrupted("adam", "numpy")
    run(tmp_path, f"resume={whole}", "checkpoint=epoch-00003", "precision=float32")
    assert load_file(tmp_path / "weights/final.safetensors")["head.bias"].dtype == np.float32
    assert 0 < apart(curve(whole)[3:], curve(tmp_path)[3:]) < 1e-4


def test_a_changed_length_of_a_schedule_is_said(
    uninterrupted: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    whole = uninterrupted("momentum", "numpy")
    run(tmp_path, f"resume={whole}", "trainer.epochs=9", "optimizer.lr=0.001")
    assert "changed: trainer.epochs=9, optimizer.lr=0.001" in caplog.text or (
        "changed: optimizer.lr=0.001, trainer.epochs=9" in caplog.text
    )
    assert "trainer.schedule=cosine spreads over all epochs, 6 then and 9 now" in caplog.text


def test_a_group_is_replaced_as_a_whole_and_a_key_alone(uninterrupted: Any, tmp_path: Path) -> None:
    whole = uninterrupted("momentum", "numpy")
    resumed = (f"resume={whole}", "trainer.epochs=9")
    kept = plan(tmp_path, *resumed, "optimizer.lr=0.5").config.optimizer
    assert (kept.name, kept.lr, getattr(kept, "momentum", None)) == ("sgd", 0.5, 0.9)
    chosen = ("optimizer=sgd", "optimizer.momentum=0.5")
    replaced = plan(tmp_path, *resumed, *chosen).config.optimizer
    assert (replaced.lr, getattr(replaced, "momentum", None)) == (0.01, 0.5), "lr is sgd's own"


def test_a_run_of_an_earlier_version_is_resumed(uninterrupted: Any, tmp_path: Path) -> None:
    """Its configuration names classes where they were then."""
    copy = tmp_path / "earlier"
    shutil.copytree(uninterrupted("adam", "numpy"), copy)
    text = (copy / "config.yaml").read_text()
    assert "harness.core.optimizers.Adam" in text
    (copy / "config.yaml").write_text(text.replace("harness.core.", "harness."))
    resumed = plan(tmp_path, f"resume={copy}", "trainer.epochs=9")
    assert resumed.config.optimizer.name == "adam"


OWN_KEYS = {  # of a run's own optimiser or task, which the default ones do not have
    "momentum": (("optimizer.momentum=0.5", "optimizer.nesterov=true"), ("momentum", 0.5)),
    "rmsprop": (("optimizer.rho=0.8",), ("rho", 0.8)),
}


@pytest.mark.parametrize("case", OWN_KEYS)
def test_a_key_of_the_runs_own_optimizer_can_be_changed_alone(
    uninterrupted: Any, tmp_path: Path, case: str
) -> None:
    overrides, (name, value) = OWN_KEYS[case]
    resumed = (f"resume={uninterrupted(case, 'numpy')}", "trainer.epochs=9", *overrides)
    found = plan(tmp_path, *resumed).config.optimizer
    assert getattr(found, name) == value
    assert found.lr in (0.003, 0.005), "the run's own"
    with pytest.raises(ConfigError, match=r"^optimizer\.beta1: there is no such key"):
        plan(tmp_path, *resumed, "optimizer.beta1=0.5")


def test_a_key_of_the_runs_own_optimizer_on_the_command_line(
    uninterrupted: Any, tmp_path: Path
) -> None:
    words = [f"resume={uninterrupted('momentum', 'numpy')}", "trainer.epochs=7"]
    done = program.run(tmp_path, *words, "optimizer.nesterov=true")
    assert done.code == 0, done.err
    assert "optimizer.nesterov=True" in done.err
    [start] = program.events(program.directory(tmp_path), "start")
    assert start["tags"]["command"].endswith(" trainer.epochs=7 optimizer.nesterov=true")
    swept = program.run(tmp_path, "-m", *words, "optimizer.momentum=0.5,0.6")
    assert swept.code == 0, swept.err
    refused = program.run(tmp_path, words[0], "optimizer.nesterof=true")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert refused.err.startswith("optimizer.nesterof: there is no such key. Did you mean")


def test_a_key_of_the_runs_own_task_is_compared_with_it(tmp_path: Path) -> None:
    run(tmp_path / "binary", *SMALL, "task=binary", "task.rule=random")
    resumed = (f"resume={tmp_path / 'binary'}", "trainer.epochs=9")
    plan(tmp_path, *resumed, "task.rule=random")
    with pytest.raises(ConfigError, match=r"task\.rule=threshold: must stay random, as in"):
        plan(tmp_path, *resumed, "task.rule=threshold")


# What is refused --------------------------------------------------------------------------------

LAST = ("trainer.epochs=9",)
REFUSED = {
    "epochs": ((), "trainer.epochs=6: .*6 epochs behind it.*trainer.epochs=12"),
    "fewer epochs": (("trainer.epochs=2",), "trainer.epochs=2: "),
    "checkpoint": (
        (*LAST, "checkpoint=epoch-00004"),
        r"checkpoint=epoch-00004: must be one of epoch-00003, epoch-00006\.",
    ),
    "units": ((*LAST, "model.units=6"), "model.units=6: must stay 5, as in .*; leave it out"),
    "layers": ((*LAST, "model.layers=2"), "model.layers=2: must stay 1"),
    "cell": ((*LAST, "model=rnn"), "model.cell=rnn: must stay lstm"),
    "task": ((*LAST, "task=binary"), "task.name=binary: must stay sum"),
    "samples": ((*LAST, "task.samples=61"), "task.samples=61: must stay 60"),
    "seed": ((*LAST, "seed=1"), "seed=1: must stay 0"),
    "replicas": ((*LAST, "replicas=2"), "replicas=2: must stay 1"),
    "optimizer": ((*LAST, "optimizer=sgd"), "optimizer.name=sgd: must stay adam"),
    "biases": ((*LAST, "semantics.biases=double"), "semantics.biases=double: must stay single"),
    "preset": ((*LAST, "experiment=notebook_sum"), "experiment=notebook_sum: .*KEY=VALUE"),
    "deletion": ((*LAST, "~trainer.shuffle"), "~trainer.shuffle: "),
    "value": (("trainer.epochs=abc",), "trainer.epochs=abc: must be a whole number"),
    "no group": ((*LAST, "optimizer.lr.x=1"), "optimizer.lr={'x': 1}: must be a number"),
    "new key": ((*LAST, "+trainer.epoch=3"), "trainer.epoch: .*epochs"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_gone_on_with_is_refused(
    uninterrupted: Any, tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """And nothing is said of going on."""
    overrides, message = REFUSED[name]
    with caplog.at_level("INFO"), pytest.raises(ConfigError, match=message) as error:
        plan(tmp_path, f"resume={uninterrupted('adam', 'numpy')}", *overrides)
    assert "\n" not in str(error.value) and "goes on" not in caplog.text


def test_what_the_memory_means_must_stay(uninterrupted: Any, tmp_path: Path) -> None:
    resumed = (f"resume={uninterrupted('momentum', 'numpy')}", "trainer.epochs=9")
    with pytest.raises(ConfigError, match=r"momentum_lr=inside: must stay outside"):
        plan(tmp_path, *resumed, "semantics.momentum_lr=inside")
    with pytest.raises(ConfigError, match="optimizer: the checkpoint's memory is velocity, but"):
        plan(tmp_path, *resumed, "optimizer=sgd")


def test_the_equations_of_a_gru_must_stay(uninterrupted: Any, tmp_path: Path) -> None:
    resumed = (f"resume={uninterrupted('keras', 'numpy')}", "trainer.epochs=9")
    with pytest.raises(ConfigError, match=r"gru_reset=before: must stay after"):
        plan(tmp_path, *resumed, "semantics.gru_reset=before")
    of_an_lstm = (f"resume={uninterrupted('adam', 'numpy')}", "trainer.epochs=9")
    plan(tmp_path, *of_an_lstm, "semantics.gru_reset=before")


def test_the_last_checkpoint_is_that_of_the_largest_number(
    uninterrupted: Any, tmp_path: Path
) -> None:
    copy = shutil.copytree(uninterrupted("adam", "numpy"), tmp_path / "copy")
    kept = copy / "checkpoints"
    (kept / "epoch-00003.safetensors").rename(kept / "epoch-99999.safetensors")
    (kept / "epoch-00006.safetensors").rename(kept / "epoch-100000.safetensors")
    shutil.copy(kept / "epoch-99999.safetensors", kept / "epochs.safetensors")
    asked = (f"resume={copy}", "trainer.epochs=9")
    assert configuration(composed(*asked), list(asked), tmp_path).checkpoint == "epoch-100000"
    with pytest.raises(ConfigError, match=r"must be one of epoch-99999, epoch-100000\."):
        plan(tmp_path, *asked, "checkpoint=epochs")


def test_arrays_that_do_not_fit_are_refused(uninterrupted: Any, tmp_path: Path) -> None:
    node = configuration(
        composed(f"resume={uninterrupted('adam', 'numpy')}", "trainer.epochs=9"), [], tmp_path
    )
    node.trainer.epochs = 9
    config = from_hydra(node)
    with pytest.raises(ConfigError, match=r"model: the checkpoint's arrays are .*\(1, 5, 20\)"):
        resumed(prepare(replace(config, model=replace(config.model, units=4))))


def test_a_run_that_is_not_there_is_refused(uninterrupted: Any, tmp_path: Path) -> None:
    results = f"results={tmp_path}"
    for word, reason in (
        (str(tmp_path / "none"), "no such directory"),
        (str(tmp_path), "holds no run"),
        ("none", "no such directory, .*, and no sqlite"),
    ):
        with pytest.raises(ConfigError, match=f"resume={word}: .*{reason}"):
            plan(tmp_path, f"resume={word}", results)
    with pytest.raises(ConfigError, match="checkpoint=epoch-00003: needs resume=RUN"):
        plan(tmp_path, "checkpoint=epoch-00003")


@pytest.mark.parametrize(
    ("kinds", "every", "reason"),
    [
        ((), 0, "it ended before its first epoch was done; start it again"),
        (("metrics",), 0, "it was killed in epoch 7, or still trains, and .*_every=0 had kept no"),
        (("metrics",), 9, "it was killed in epoch 7, or still trains, and .*_every=9 had kept no"),
        (("metrics",), 3, "it was killed, or still trains, after 6 epochs, and .* are gone"),
        (("metrics", "end"), 0, "it ended as FINISHED after 6 epochs, and .* are gone; train it"),
    ],
)
def test_why_a_run_has_no_checkpoint(
    uninterrupted: Any, tmp_path: Path, kinds: tuple[str, ...], every: int, reason: str
) -> None:
    """As its journal tells, of which a kill leaves no end."""
    whole = uninterrupted("adam", "numpy")
    empty = shutil.copytree(whole, tmp_path / "empty")
    shutil.rmtree(empty / "checkpoints")
    recorded = (empty / "config.yaml").read_text()
    changed = recorded.replace("checkpoint_every: 3", f"checkpoint_every: {every}")
    (empty / "config.yaml").write_text(changed)
    lines = [json.dumps(event) for kind in kinds for event in program.events(whole, kind)]
    (empty / "journal.jsonl").write_text("\n".join(lines))
    with pytest.raises(ConfigError, match=f"={empty}: this run has no checkpoint; {reason}"):
        plan(tmp_path, f"resume={empty}")


@pytest.mark.parametrize(
    "place", ["runs/20261124-205901-558585", "multirun/20261124-205901-558585/3"]
)
def test_a_run_is_found_by_the_name_of_its_folder(
    uninterrupted: Any, tmp_path: Path, place: str
) -> None:
    results = tmp_path / "results"
    shutil.copytree(uninterrupted("adam", "numpy"), results / place)
    word = place.partition("/")[2]
    found = find_run("resume=", word, results, None, (), tmp_path)
    assert found == (results / place).resolve()


def test_a_word_that_names_no_run_says_where_was_looked(tmp_path: Path) -> None:
    (tmp_path / "runs/20261124-205901-558585").mkdir(parents=True)
    sweep = tmp_path / "multirun/20261124-205902-000000"
    sweep.mkdir(parents=True)
    note_job(sweep, 0, sweep / "0")
    for word, reason in (
        ("", "a run's directory, id or name must be given"),
        ("20261124-205901-558586", "no such run in .*/runs or .*/multirun. .*205901-558585'"),
        ("20261124-205901-558585", "runs/20261124-205901-558585 holds no run: no config.yaml"),
        ("20261124-205902-000000", r"is a sweep; name one of its jobs: 20261124-205902-000000/0"),
        ("nobody", "no such directory, neither here nor in .*/runs or .*/multirun, and no sqlite"),
    ):
        with pytest.raises(ConfigError, match=f"^resume={word}: .*{reason}"):
            find_run("resume=", word, tmp_path, None, (), tmp_path)


def spoil(path: Path) -> Path:
    """Break off a file in its middle, as a full disk or an interrupted copy does."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def test_a_damaged_checkpoint_is_named_with_another(uninterrupted: Any, tmp_path: Path) -> None:
    copy = shutil.copytree(uninterrupted("adam", "numpy"), tmp_path / "copy")
    path = spoil(copy / "checkpoints/epoch-00006.safetensors")
    asked = (f"resume={copy}", "trainer.epochs=9")
    with pytest.raises(ConfigError) as error:
        plan(tmp_path, *asked)
    assert str(error.value).startswith(f"{path}: is damaged (")
    assert str(error.value).endswith("; choose checkpoint=epoch-00003.")
    plan(tmp_path, *asked, "checkpoint=epoch-00003")
    (copy / "checkpoints/epoch-00003.safetensors").unlink()
    path.write_bytes(b"")
    with pytest.raises(ConfigError, match=r"is damaged \(.*\); train the run again\.$") as error:
        plan(tmp_path, *asked)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["model: {units: 5", "- a\n- list", "", "seed: 0\n", "\x00"])
def test_a_damaged_configuration_is_named(uninterrupted: Any, tmp_path: Path, text: str) -> None:
    copy = shutil.copytree(uninterrupted("adam", "numpy"), tmp_path / "copy")
    (copy / "config.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"config.yaml: is damaged \(.+\); copy it from") as error:
        plan(tmp_path, f"resume={copy}", "trainer.epochs=9")
    assert "\n" not in str(error.value)


# A run that MLflow knows ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results with two runs of one name, `six·e=6`, the second one with a larger learning rate."""
    folder = program.with_database(tmp_path_factory.mktemp("tracked"))
    for lr in ("0.01", "0.02"):
        overrides = (*SMALL, "tracking=mlflow", f"results={folder}/results", f"optimizer.lr={lr}")
        config = from_hydra(composed(*overrides))
        directory = folder / f"results/runs/{lr}"
        assert run_module.run(
            config, Identity("six·e=6", directory, list(overrides))
        ).wait_for_address()
    return folder


def test_a_run_is_found_by_its_id_and_by_its_name(folder: Path, tmp_path: Path) -> None:
    first, second = program.tracked(folder)[:2]
    results = (f"results={folder}/results", "trainer.epochs=9")
    for word, lr in ((first.info.run_id, 0.01), ("six·e=6", 0.02)):
        found, origin = resumed(prepare(settings(tmp_path, f"resume={word}", *results)))
        assert found.config.optimizer.lr == lr
        assert origin is not None
        assert origin.run == (first if lr == 0.01 else second).info.run_id
    with pytest.raises(ConfigError, match=r"resume=sixe=6: there is no such run in .*'six·e=6'\?"):
        plan(tmp_path, "resume=sixe=6", *results)
    with pytest.raises(ConfigError, match="must be a run's directory, or its MLflow id or name"):
        plan(tmp_path, "resume=zzzzzz", *results)


def test_a_resumed_run_is_a_run_of_its_own_with_the_whole_curve(folder: Path) -> None:
    first = program.tracked(folder)[0]
    directory = folder / "results/runs/resumed"
    run(directory, f"resume={first.info.run_id}", *_on(folder), "checkpoint=epoch-00003")
    resumed = program.tracked(folder)[-1]
    assert resumed.info.run_id != first.info.run_id
    assert resumed.info.status == "FINISHED"
    assert resumed.data.tags["run_directory"] == str(directory)
    assert resumed.data.tags["resumed_from"] == first.info.run_id
    assert resumed.data.tags["resumed_epoch"] == "3"
    assert resumed.data.params["resume"] == first.info.run_id
    whole = program.history(folder, first.info.run_id, "train/loss")
    logged = program.history(folder, resumed.info.run_id, "train/loss")
    assert [step for step, _ in logged] == list(range(1, 10))
    assert logged[:6] == whole
    assert "checkpoints/epoch-00009.safetensors" in program.artifacts(folder, resumed.info.run_id)


def _on(folder: Path) -> tuple[str, str]:
    return f"results={folder}/results", "trainer.epochs=9"


def test_a_run_whose_directory_is_gone_comes_back_from_mlflow(folder: Path, tmp_path: Path) -> None:
    second = program.tracked(folder)[1]
    there = Path(second.data.tags["run_directory"])
    away = there.rename(tmp_path / "away")
    try:
        run(tmp_path / "on", f"resume={second.info.run_id}", *_on(folder))
    finally:
        away.rename(there)
    assert curve(tmp_path / "on")[:6].tolist() == curve(there).tolist()
    [(_, tags)] = [(e["name"], e["tags"]) for e in program.events(tmp_path / "on", "start")]
    assert tags["resumed_from"] == second.info.run_id
    run(tmp_path / "same", f"resume={there}", *_on(folder), "tracking=journal")
    assert curve(tmp_path / "on").tolist() == curve(tmp_path / "same").tolist()


def test_a_run_without_a_directory_is_not_the_current_one(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = program.tracked(folder)[1]
    there = Path(found.data.tags["run_directory"])
    mlflow = client(f"sqlite:///{folder}/results/mlflow.db")
    mlflow.delete_tag(found.info.run_id, "run_directory")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text("another: run")
    asked = (found.info.run_id, folder / "results", None, ("config.yaml",), tmp_path / "fetched")
    try:
        assert find_run("resume=", *asked) == tmp_path / "fetched"
    finally:
        mlflow.set_tag(found.info.run_id, "run_directory", str(there))
    assert find_run("resume=", *asked) == there


# The program ------------------------------------------------------------------------------------

LONG = ("task.samples=60", "model.units=5", "precision=float64", "tracking=journal")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_process_that_was_stopped_goes_on_as_it_says(
    tmp_path: Path, number: signal.Signals
) -> None:
    with program.running(tmp_path, *LONG, "trainer.epochs=100000") as process:
        program.wait_until(program.trains(tmp_path, 3), process)
        process.send_signal(number)
        done = program.finish(process)
    assert done.code == 128 + number
    stopped = program.directory(tmp_path)
    again = done.err.rstrip("\n").rpartition("go on with: ")[2]
    assert again == command(stopped, "results")
    [path] = stopped.glob("checkpoints/*")
    epochs = load_checkpoint(path).epoch
    assert epochs in (len(curve(stopped)), len(curve(stopped)) - 1)
    assert epochs >= 2
    arguments = shlex.split(again)[3:]
    goes_on = program.run(tmp_path, *arguments, f"trainer.epochs={epochs + 3}")
    assert goes_on.code == 0, goes_on.err
    assert f"goes on from epoch-{epochs:05d}" in goes_on.err
    resumed = program.directories(tmp_path)[-1]
    run(tmp_path / "whole", *LONG, f"trainer.epochs={epochs + 3}")
    assert curve(resumed).tolist() == curve(tmp_path / "whole").tolist()


def test_a_run_that_failed_can_be_mended(tmp_path: Path) -> None:
    growing = ("optimizer=sgd", "optimizer.weight_decay=1e9", "trainer.epochs=50")
    # Each of the two steps of an epoch multiplies weights by 1e7: the loss is far from float32's
    # largest number at the end of the first epoch and beyond it in the second.
    failed = program.run(tmp_path, *growing, "task.samples=60", "tracking=journal")
    assert failed.code == 1
    again = failed.err.rstrip("\n").rpartition("go on with: ")[2]
    arguments = (*shlex.split(again)[3:], "optimizer.weight_decay=0", "optimizer.lr=1e-9")
    mended = program.run(tmp_path, *arguments)
    assert mended.code == 0, mended.err
    before, after = program.directories(tmp_path)
    epochs = len(curve(before)) - 1
    assert epochs > 0
    assert curve(after)[:epochs].tolist() == curve(before)[:epochs].tolist()
    assert len(curve(after)) == 50


def test_a_resume_that_is_refused_leaves_nothing_behind(tmp_path: Path) -> None:
    done = program.run(tmp_path, "resume=none", "trainer.epochs=3")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("resume=none: there is no such directory")
    assert done.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_goes_on_in_several_backends(uninterrupted: Any, tmp_path: Path) -> None:
    whole = uninterrupted("adam", "numpy")
    resumed = ("-m", f"resume={whole}", "checkpoint=epoch-00003", "backend=numpy,torch")
    done = program.run(tmp_path, *resumed)
    assert done.code == 0, done.err
    directories = program.directories(tmp_path)
    assert len(directories) == 2
    for directory in directories:
        assert apart(curve(whole), curve(directory)) < LIMITS["float64"].losses


def test_the_summary_says_how_to_go_on(
    uninterrupted: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = uninterrupted("adam", "numpy")
    result = run(tmp_path, f"resume={whole}", "trainer.epochs=7")
    summary.show(result, Console(width=110))
    assert f"python -m harness resume={tmp_path} trainer.epochs=14" in capsys.readouterr().out


# A run that only lacks its end -------------------------------------------------------------------

WRITTEN = ("weights/final.safetensors", "predictions.csv", "parameters.csv")


def cut(whole: Path, to: Path, status: str | None) -> Path:
    """A copy of a run as it was after its last epoch: `status` is how it ended then, None for a
    process that was killed."""
    copy = shutil.copytree(whole, to)
    kept = [event for event in read(whole) if event["kind"] not in ("scalars", "table", "end")]
    kept = [event for event in kept if event.get("path", "checkpoints").startswith("checkpoints")]
    (copy / JOURNAL).unlink()
    journal = Journal(copy)
    for event in kept:
        journal.write(**event)
    if status is not None:
        journal.write("end", status=status, error="Killed: SIGTERM")
    journal.close()
    for path in (*WRITTEN, "plots/loss.png", "plots/predictions.png"):
        (copy / path).unlink()
    return copy


def same_files(one: Path, other: Path) -> None:
    for path in WRITTEN:
        assert (one / path).read_bytes() == (other / path).read_bytes(), path
    assert (other / "plots/loss.png").exists()
    for metric in ("train/loss", "val/loss"):
        assert curve(one, metric).tolist() == curve(other, metric).tolist()


@pytest.mark.parametrize("status", [None, "KILLED", "FAILED"])
def test_a_run_without_its_end_is_completed(
    uninterrupted: Any, tmp_path: Path, status: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    whole = uninterrupted("adam", "numpy")
    stopped = cut(whole, tmp_path / "stopped", status)
    result = run(tmp_path / "rest", f"resume={stopped}")
    same_files(whole, tmp_path / "rest")
    assert result.outcome.epochs == 6
    assert result.outcome.epoch_seconds == [], "nothing was trained"
    assert result.values["train/loss"].tolist() == curve(whole)[-1].tolist()
    assert f"completes {stopped}, whose 6 epochs are trained" in caplog.text
    with pytest.raises(ConfigError, match=r"trainer\.epochs=6: .*6 epochs behind it"):
        run(tmp_path / "again", f"resume={tmp_path / 'rest'}")
    with pytest.raises(ConfigError, match=r"trainer\.epochs=3: .*epoch-00003 .*3 epochs behind it"):
        early = ("checkpoint=epoch-00003", "trainer.epochs=3")
        run(tmp_path / "early", f"resume={stopped}", *early)


def test_a_run_that_stopped_early_and_lacks_its_end_is_completed(tmp_path: Path) -> None:
    chosen = ("task=binary", "task.rule=random", "task.samples=100", "optimizer.lr=0.02")
    chosen += ("trainer.epochs=40", "trainer.patience=2", "replicas=2", "tracking=journal")
    whole = run(tmp_path / "whole", *chosen)
    assert whole.outcome.stopped_early
    stopped = cut(tmp_path / "whole", tmp_path / "stopped", "KILLED")
    rest = run(tmp_path / "rest", f"resume={stopped}")
    same_files(tmp_path / "whole", tmp_path / "rest")
    assert rest.outcome.stopped_early
    assert rest.outcome.epochs == whole.outcome.epochs
    assert rest.values.keys() == whole.values.keys()
    for name, values in whole.values.items():
        assert rest.values[name].tolist() == values.tolist(), name


def test_how_to_go_on_after_early_stopping_is_no_command_that_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = ("task=binary", "task.rule=random", "task.samples=100", "optimizer.lr=0.02")
    chosen += ("trainer.epochs=40", "trainer.patience=2", "tracking=journal")
    result = run(tmp_path / "whole", *chosen)
    summary.show(result, Console(width=110))
    [line] = [text for text in capsys.readouterr().out.splitlines() if "  go on " in text]
    more = run(tmp_path / "more", *shlex.split(line)[5:])
    assert more.outcome.epochs == 2 * result.outcome.epochs


def test_a_pass_without_training_that_was_stopped_is_started_again(tmp_path: Path) -> None:
    run(tmp_path / "whole", *SMALL, "trainer.epochs=0")
    (tmp_path / "whole" / JOURNAL).write_text("")
    with pytest.raises(ConfigError, match="before its first epoch was done; start it again"):
        plan(tmp_path, f"resume={tmp_path / 'whole'}")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a pipe to stop the program at")
def test_a_process_that_was_stopped_after_its_last_epoch_says_how_it_is_completed(
    tmp_path: Path,
) -> None:
    """In a folder whose name a shell and Hydra would read otherwise. The program waits where it
    writes its parameters, since nobody reads the pipe in their place."""
    place = "it's 50 % [of] a=b, $c & #李"
    folder = tmp_path / place
    folder.mkdir()
    words = (*LONG, "trainer.epochs=300", override("results", f"my {place}"))
    with program.running(folder, *words) as process:
        began = list[Path]()

        def begun() -> bool:
            began[:] = folder.glob("my*/runs/*/config.yaml")
            return bool(began)

        program.wait_until(begun, process)
        stopped = began[0].parent
        os.mkfifo(stopped / "parameters.csv")
        program.wait_until((stopped / "weights/final.safetensors").exists, process)
        process.send_signal(signal.SIGTERM)
        done = program.finish(process)
    assert done.code == 128 + signal.SIGTERM, done.err
    assert len(curve(stopped)) == 300
    again = done.err.rstrip("\n").rpartition("go on with: ")[2]
    rest = program.run(folder, *shlex.split(again)[3:])
    assert rest.code == 0, rest.err
    assert "whose 300 epochs are trained" in rest.err
    [line] = [text for text in rest.out.splitlines() if text.startswith("  files ")]
    completed = Path(shlex.split(line)[1])
    assert completed.parent == stopped.parent
    assert {path for path in WRITTEN if (completed / path).is_file()} == set(WRITTEN)
    [line] = [text for text in rest.out.splitlines() if text.startswith("  go on ")]
    more = program.run(folder, *shlex.split(line)[5:])
    assert more.code == 0, more.err
