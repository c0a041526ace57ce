"""The hooks of pre-commit are what `make lint` runs, by the programs of the environment."""

import subprocess
import sys
from pathlib import Path

import yaml

from tests.support import ROOT

CONFIG = ROOT / ".pre-commit-config.yaml"


def test_the_hooks_run_what_make_lint_runs() -> None:
    _, _, rules = (ROOT / "Makefile").read_text().partition("\nlint:")
    recipe = [line for line in rules.partition("\n\n")[0].splitlines() if line.startswith("\t")]
    wanted = [line.strip().removeprefix("$(BIN)/").removesuffix(" .") for line in recipe]
    [repository] = yaml.safe_load(CONFIG.read_text())["repos"]
    assert repository["repo"] == "local"
    hooks = repository["hooks"]
    assert [hook["entry"].removeprefix(".venv/bin/") for hook in hooks] == wanted
    assert all(hook["entry"].startswith(".venv/bin/") for hook in hooks)


def test_pre_commit_reads_them() -> None:
    command = [sys.executable, "-m", "pre_commit", "validate-config", str(CONFIG)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_environment_has_their_programs() -> None:
    [repository] = yaml.safe_load(CONFIG.read_text())["repos"]
    for hook in repository["hooks"]:
        program = Path(hook["entry"].split()[0]).name
        assert (Path(sys.executable).parent / program).exists()
