"""The run that `resume=` names: how it is found, and what is said where it is of no use.

Decides on the name of a folder, on words that name no run, on runs without a checkpoint and on
damaged files.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from harness.core.errors import ConfigError
from harness.runs.find import find_run
from harness.tracking.launched_jobs import record_job
from tests.support import program
from tests.support.program import uses_mlflow
from tests.support.recorded_files import record_again
from tests.support.resumed_runs import plan

pytestmark = uses_mlflow


def test_a_run_that_is_not_there_is_refused(tmp_path: Path) -> None:
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
        (
            ("metrics",),
            7,
            "it was killed as epoch 6, its last, was done, or .*_every=7 had kept no",
        ),
        (("metrics",), "many", r"config.yaml: is damaged \(.*many"),
        (("metrics",), 3, "it was killed, or still trains, after 6 epochs, and .* are gone"),
        (("metrics", "end"), 0, "it ended as FINISHED after 6 epochs, and .* are gone; train it"),
    ],
)
def test_why_a_run_has_no_checkpoint(
    uninterrupted: Any, tmp_path: Path, kinds: tuple[str, ...], every: int | str, reason: str
) -> None:
    """As its journal tells, of which a kill leaves no end."""
    whole = uninterrupted("adam", "numpy")
    empty = shutil.copytree(whole, tmp_path / "empty")
    shutil.rmtree(empty / "checkpoints")
    recorded = (empty / "config.yaml").read_text()
    changed = recorded.replace("checkpoint_every: 3", f"checkpoint_every: {every}")
    changed = changed if every == 7 else changed.replace("epochs: 6", "epochs: 60")
    (empty / "config.yaml").write_text(changed)
    lines = [json.dumps(event) for kind in kinds for event in program.events(whole, kind)]
    (empty / "journal.jsonl").write_text("\n".join(lines))
    begin = "" if every == "many" else f"={empty}: this run has no checkpoint; "
    with pytest.raises(ConfigError, match=begin + reason):
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
    record_job(sweep, 0, sweep / "0")
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


@pytest.mark.parametrize("has_checksum", [False, True])
def test_a_damaged_checkpoint_is_named_with_another(
    uninterrupted: Any, tmp_path: Path, has_checksum: bool
) -> None:
    copy = shutil.copytree(uninterrupted("adam", "numpy"), tmp_path / "copy")
    path = spoil(copy / "checkpoints/epoch-00006.safetensors")
    if not has_checksum:
        record_again(copy, "checkpoints/epoch-00006.safetensors")
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
    record_again(copy, "config.yaml")
    with pytest.raises(ConfigError, match=r"config.yaml: is damaged \(.+\); copy it from") as error:
        plan(tmp_path, f"resume={copy}", "trainer.epochs=9")
    assert "\n" not in str(error.value)
