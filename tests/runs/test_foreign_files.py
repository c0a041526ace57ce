"""A recorded run is data: nothing in its files is imported, executed or expanded.

The module `spring` tells when it is imported, and a test shows that it is, if it is typed now.
"""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf
from safetensors.numpy import load_file, save_file

from harness.config import saved_config
from harness.config.saved_config import load_config, with_overrides
from harness.core.errors import ConfigError
from harness.runs.stored_network import read_network
from harness.why import __main__ as why
from tests.support.recorded_files import record_again
from tests.support.resumed_runs import SMALL, run, settings

SPRING = """
import os
from backends.numpy_backend import NumpyBackend as Backend
from harness.core.optimizers import Adam
from harness.tasks.sum import Sum
open(os.environ["SPRUNG"], "w").close()
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("foreign") / "run", *SMALL).directory


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    """A copy of a run, for an attacker to change."""
    return shutil.copytree(trained, tmp_path / "run")


@pytest.fixture
def sprung(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], bool]:
    """Tell whether the module `spring`, which can be imported, has been."""
    (tmp_path / "modules/spring").mkdir(parents=True)
    (tmp_path / "modules/spring/__init__.py").write_text(SPRING)
    monkeypatch.syspath_prepend(tmp_path / "modules")
    monkeypatch.setenv("SPRUNG", str(tmp_path / "sprung"))
    monkeypatch.delitem(sys.modules, "spring", raising=False)
    return (tmp_path / "sprung").exists


def change(folder: Path, key: str, value: Any) -> None:
    """Set a key of the run's configuration, as an editor would."""
    config = OmegaConf.load(folder / "config.yaml")
    OmegaConf.update(config, key, value, merge=False, force_add=True)
    (folder / "config.yaml").write_text(OmegaConf.to_yaml(config))
    record_again(folder, "config.yaml")


def resumed_settings(folder: Path, *overrides: str) -> Any:
    return settings(folder.parent / "next", f"resume={folder}", "trainer.epochs=12", *overrides)


def asked(*words: str) -> Any:
    return why.read_sides(why.parse_arguments(list(words)))


FACTORY = {"_target_": "spring.Backend", "_partial_": True}
BACKENDS = {
    "class": ("backend.factory", FACTORY),
    "package": ("backend.packages", {"spring.more": "spring"}),
}


@pytest.mark.parametrize("attack", BACKENDS)
def test_the_backend_is_that_of_an_option(
    folder: Path, sprung: Callable[[], bool], attack: str, tmp_path: Path
) -> None:
    change(folder, *BACKENDS[attack])
    config = resumed_settings(folder)
    assert config.backend.factory["_target_"] == "backends.numpy_backend.NumpyBackend"
    a, b = asked(str(folder), str(folder), "b.optimizer.lr=0.5")
    assert a.backend == b.backend == config.backend
    assert not sprung()
    change(folder, "backend.name", "mine")
    with pytest.raises(ConfigError, match=r"backend.name=mine: no option of backend has"):
        resumed_settings(folder)
    assert resumed_settings(folder, "backend=numpy").backend == config.backend
    own = tmp_path / "conf/backend"
    own.mkdir(parents=True)
    option = f"name: mine\npackages: {{}}\ndevices: [cpu]\nfactory: {FACTORY}\n"
    (own / "any_name.yaml").write_text(option)
    recorded = with_overrides(load_config(folder), [], "run", folders=[own.parent])
    assert recorded.backend.factory == FACTORY


@pytest.mark.parametrize(("group", "name"), [("task", "Sum"), ("optimizer", "Adam")])
def test_a_recorded_class_is_imported_only_if_an_option_or_the_user_names_it(
    folder: Path, sprung: Callable[[], bool], tmp_path: Path, group: str, name: str
) -> None:
    key, target = f"{group}._target_", f"spring.{name}"
    change(folder, key, target)
    for refused in (lambda: resumed_settings(folder), lambda: asked(str(folder), str(folder))):
        with pytest.raises(ConfigError, match=f"{key}={target}: no option of {group}") as caught:
            refused()
        assert "\n" not in str(caught.value)
    assert not sprung()
    own = tmp_path / "conf"
    (own / group).mkdir(parents=True)
    (own / group / "mine.yaml").write_text(f"_target_: {target}\n")
    recorded = load_config(folder)
    for typed, folders in (([f"{key}={target}"], []), ([], [own])):
        assert with_overrides(recorded, typed, "run", folders=folders)[group]["_target_"] == target
    assert not sprung()
    asked(str(folder), str(folder), f"{key}={target}")
    assert sprung(), "the attack works, if it is let through"


def test_an_interpolation_is_not_resolved(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    change(folder, "tracking.experiment", "${oc.env:SECRET}")
    for refused in (lambda: resumed_settings(folder), lambda: asked(str(folder), str(folder))):
        with pytest.raises(ConfigError, match=r"=.* is an interpolation") as caught:
            refused()
        assert "hunter2" not in str(caught.value)


def test_aliases_are_refused_before_they_are_expanded(folder: Path) -> None:
    """Nine levels of nine aliases each would be 387 million words."""
    levels = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    text = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text("\n".join([text, "a0: &a0 [x]", *levels]))
    record_again(folder, "config.yaml")
    with pytest.raises(ConfigError, match=r"config.yaml: is damaged .*has an alias"):
        resumed_settings(folder)


def test_a_deeply_nested_file_is_refused(folder: Path) -> None:
    """Its syntax tree would overflow the stack of libyaml."""
    text = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(f"{text}\ndeep: {'[' * 300_000}")
    record_again(folder, "config.yaml")
    with pytest.raises(ConfigError, match="nested more than 50 deep"):
        resumed_settings(folder)


def test_a_large_file_is_not_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved_config, "MAX_BYTES", 100)
    with pytest.raises(ConfigError, match="has over 100 bytes"):
        resumed_settings(folder)


NETWORKS = {
    "precision": "float64'; import os; '",
    "loss": "mae",
    "padded": "no",
    "model.cell": "lstm'",
    "model.units": 5.5,
    "model.layers": 10**10,
    "model.outputs": "1); import os; (",
    "model.biases": None,
    "scale.x_mean": [["0; import os"]],
    "scale.y_std": [float("nan")],
    "scale.x_std": [[1.0, 2.0]],
}


@pytest.mark.parametrize("key", NETWORKS)
def test_the_facts_of_a_network_are_checked_by_type_and_choice(folder: Path, key: str) -> None:
    assert read_network(folder, 0).model.units == 5
    facts = json.loads((folder / "network.json").read_text())
    group, _, name = key.rpartition(".")
    (facts[group] if group else facts)[name] = NETWORKS[key]
    (folder / "network.json").write_text(json.dumps(facts))
    record_again(folder, "network.json")
    with pytest.raises(ConfigError, match=r"network.json: is damaged \(") as caught:
        read_network(folder, 0)
    assert "\n" not in str(caught.value)


def test_weights_of_another_network_are_refused(folder: Path) -> None:
    path = folder / "weights/final.safetensors"
    weights = load_file(path)
    save_file(weights | {"rnn.0.bias": weights["rnn.0.bias"][:, :4]}, path)
    record_again(folder, "weights/final.safetensors")
    with pytest.raises(ConfigError, match=r"final.safetensors: is damaged .its arrays"):
        read_network(folder, 0)


def test_a_billion_layers_are_refused_before_their_names_are_made(folder: Path) -> None:
    facts = json.loads((folder / "network.json").read_text())
    facts["model"]["layers"] = 10**9
    (folder / "network.json").write_text(json.dumps(facts))
    record_again(folder, "network.json")
    with pytest.raises(ConfigError, match=r"is damaged .it has 5 arrays, and the model 1000000000"):
        read_network(folder, 0)
