"""Every command's help: a sentence, options, examples that can be pasted; all on one screen."""

from functools import cache
from pathlib import Path
from shutil import copy

import pytest

from harness.console.commands import COMMANDS
from tests.identify import hand_written
from tests.record.own_means import PROGRAMS
from tests.support.program import with_database
from tests.support.shell import paste, run_bash, tiny

HELPS = {"harness": 50, **dict.fromkeys((f"harness {name}" for name in COMMANDS), 24)}
HELPS["harness adopt"] = 27  # what a file cannot say has an option each
WIDTH = 80


@cache
def help_of(command: str) -> str:
    done = run_bash(f"{command} --help", Path())
    assert (done.code, done.err) == (0, "")
    return done.out


def examples(command: str) -> list[str]:
    _, _, last = help_of(command).partition("\nexamples:\n")
    return [line.strip() for line in last.splitlines() if line.strip()]


@pytest.mark.parametrize("command", HELPS)
def test_help_fits_a_screen(command: str) -> None:
    lines = help_of(command).rstrip().splitlines()
    broken = sum(1 + max(len(line) - 1, 0) // WIDTH for line in lines)
    assert broken <= HELPS[command]


@pytest.mark.parametrize("command", HELPS)
def test_help_begins_with_its_purpose_and_ends_with_examples(command: str) -> None:
    purpose, _, rest = help_of(command).partition("\n\n")
    assert purpose[0].isupper()
    assert purpose.endswith(".")
    assert rest.startswith(f"usage: {command}")
    found = examples(command)
    assert 2 <= len(found) <= 4
    assert all(line.startswith("harness ") for line in found)
    assert any(line.startswith(command) for line in found)


@pytest.mark.parametrize("command", HELPS)
def test_examples_work_when_pasted(command: str, tmp_path: Path) -> None:
    folder = with_database(tmp_path / "here")
    if command in ("harness identify", "harness repeat"):
        hand_written.simple(folder / "recorded")
    if command == "harness record":
        copy(PROGRAMS / "two_trainings.py", folder / "train.py")
        copy(PROGRAMS / "two_trainings_loop.py", folder)
        copy(PROGRAMS / "torch_notebook.ipynb", folder / "lesson.ipynb")
    if command == "harness why":
        hand_written.simple(folder / "recorded_a")
        hand_written.simple(folder / "recorded_b", semantics__adam_eps=1e-5)
    done = paste("\n".join(examples(command)), folder)
    assert done.code == 0, done.err


def test_an_example_that_is_wrong_shows(tmp_path: Path) -> None:
    done = paste("harness vectors out --only nothing", tmp_path)
    assert done.code == 2
    assert "--only nothing: no such case" in done.err


def test_tiny_settings_do_not_replace_what_a_line_says() -> None:
    assert tiny(["task=sum", "trainer.epochs=7"])[:2] == ["task=sum", "trainer.epochs=7"]
    assert tiny(["why", "b.replicas=3"])[2:] == ["trainer.epochs=1", "task.samples=40"]
    assert tiny(["export", "RUN", "--to", "torch"]) == ["export", "RUN", "--to", "torch"]
    assert tiny(["vectors", "out", "--only", "gru"]) == ["vectors", "out", "--only", "gru"]
