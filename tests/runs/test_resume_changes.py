"""Settings that differ when a run is resumed.

Decides which may change, how a change is read from the command line (a group as a whole, a key
alone), and which must stay as they were, each with one line that says why.
"""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.config.parsing import from_hydra
from harness.core.errors import ConfigError
from harness.runs.resume import configuration, resumed
from harness.training.plan import prepare
from tests.support import program
from tests.support.configs import composed
from tests.support.program import uses_mlflow
from tests.support.recorded_files import record_again
from tests.support.resumed_runs import SMALL, plan, run

pytestmark = uses_mlflow


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
    """Its configuration names classes where they were then, and lacks a key that is newer."""
    copy = tmp_path / "earlier"
    shutil.copytree(uninterrupted("adam", "numpy"), copy)
    text = (copy / "config.yaml").read_text()
    assert "harness.core.optimizers.Adam" in text
    text = text.replace("harness.core.", "harness.").replace("  keep_checkpoints: 2\n", "")
    assert "keep_checkpoints" not in text
    (copy / "config.yaml").write_text(text)
    record_again(copy, "config.yaml")
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
    assert "\n" not in str(error.value)
    assert "goes on" not in caplog.text


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
