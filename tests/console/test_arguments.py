"""What `argparse` refuses is one line that names the option, what it received and what is valid."""

from pathlib import Path

import pytest

from harness.console.arguments import Parser
from harness.core.errors import ConfigError


def parser() -> Parser:
    found = Parser(prog="harness some", purpose="Do it.", examples="  harness some x")
    found.add_argument("run", metavar="RUN")
    found.add_argument("--steps", type=int)
    found.add_argument("--share", type=float)
    found.add_argument("--out", type=Path)
    found.add_argument("--to", choices=["torch", "jax"])
    return found


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["x", "--steps", "y"], "--steps y: must be a whole number"),
        (["x", "--share", "y"], "--share y: must be a number"),
        (["x", "--out"], "--out: needs a value"),
        (["x", "z", "--no"], "--no: no such option or argument"),
        (["x", "z", "w"], "z: no such option or argument"),
        ([], "RUN: must be given"),
    ],
)
def test_mistake_is_one_line_and_no_exit(words: list[str], line: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parser().parse_args(words)
    said = str(refused.value)
    assert said.startswith(line)
    assert said.endswith("; see harness some --help.")
    assert "\n" not in said


def test_help_is_printed_and_ends_well(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        parser().parse_args(["--help"])
    assert stop.value.code == 0
    said = capsys.readouterr().out
    assert said.startswith("Do it.\n\nusage: harness some")
    assert said.endswith("examples:\n  harness some x\n")


def test_another_choice_is_named() -> None:
    with pytest.raises(ConfigError, match=r"^--to=torhc: must be one of torch, jax\. Did you mean"):
        parser().parse_args(["x", "--to", "torhc"])
