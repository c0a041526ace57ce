"""Completion in bash, by the script that the program prints, for every kind of word."""

import shlex
from functools import cache
from pathlib import Path

import pytest

from tests.support.shell import run_bash

CALL = """
set +e
{script}
[[ "$(complete -p harness)" == *hydra_bash_completion* ]] || echo "not installed" >&2
COMP_LINE={line}
COMP_POINT=${{#COMP_LINE}}
COMP_WORDS=($COMP_LINE)
[[ "$COMP_LINE" != *" " ]] || COMP_WORDS+=("")
COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
hydra_bash_completion
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@cache
def script() -> str:
    return run_bash("harness -sc install=bash", Path()).out


def complete(line: str, folder: Path) -> list[str]:
    """What bash offers behind `line`."""
    done = run_bash(CALL.format(script=script(), line=shlex.quote(line)), folder)
    assert done.err == "", "it would be written over the prompt"
    return done.out.split()


@pytest.mark.parametrize(
    ("line", "offered", "not_offered"),
    [
        ("harness ", ["compare", "parity", "why", "export", "vectors", "task", "seed="], []),
        ("harness par", ["parity"], ["compare", "task"]),
        ("harness task=", ["task=sum", "task=binary"], ["parity"]),
        ("harness task=sum model=ls", ["model=lstm"], ["model=gru"]),
        ("harness -m task=sum optimizer.l", ["optimizer.lr="], []),
        ("harness --c", ["--cfg", "--config-dir"], ["--help"]),
        ("harness --cfg ", ["job", "hydra", "all"], ["task"]),
        ("harness parity --", ["--steps", "--fuzz", "--scatter-padding"], ["--cfg"]),
        ("harness parity --steps 3 b", ["backends=", "backend="], ["task"]),
        ("harness parity backends=numpy,jax task=b", ["task=binary"], ["task=sum"]),
        ("harness why a.task=sum b.optimizer=", ["b.optimizer=sgd"], ["optimizer=sgd"]),
        ("harness export RUN --to ", ["torch", "onnx"], ["--to"]),
        ("harness diff A B --", ["--input", "--outputs", "--fix"], ["--steps"]),
        ("harness repeat RECORDING --", ["--out", "--nearest", "--name"], ["--results"]),
        ("harness identify RECORDING --", ["--out", "--name", "--lr"], ["--results"]),
        ("harness record --", ["--training", "--out"], ["--results"]),
        ("harness compare --", ["--parent", "--filter"], ["--steps"]),
        ("harness reproduce RUN --", ["--with", "--results"], ["--cfg"]),
        ("harness vectors --n", ["--no-onnx"], ["--only"]),
    ],
)
def test_words_are_completed(
    line: str, offered: list[str], not_offered: list[str], tmp_path: Path
) -> None:
    found = complete(line, tmp_path)
    assert set(offered) <= set(found)
    assert not set(not_offered) & set(found)
    assert list(tmp_path.iterdir()) == []


def test_own_tasks_are_completed(tmp_path: Path) -> None:
    (tmp_path / "mine/task").mkdir(parents=True)
    (tmp_path / "mine/task/largest.yaml").write_text("name: largest\n")
    assert complete("harness --config-dir mine task=larg", tmp_path) == ["task=largest"]


@pytest.mark.parametrize("line", ["harness task=nothing.", "harness --config-dir nowhere ta"])
def test_a_line_that_is_wrong_is_not_commented_on(line: str, tmp_path: Path) -> None:
    assert complete(line, tmp_path) == []
