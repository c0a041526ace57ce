"""One front door: a command is found by its first word, as by its module."""

import subprocess
import sys
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from harness.console.commands import COMMANDS, command_module
from harness.core.errors import ConfigError
from tests.support import ROOT
from tests.support.command_lines import run_all


def test_the_console_script_is_the_module() -> None:
    [script] = entry_points(group="console_scripts", name="harness")
    assert script.value == "harness.__main__:main"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_word_is_as_good_as_a_module(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["harness", name, "--help"])
    assert import_module("harness.__main__").main() == 0
    by_word = capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", [f"harness.{name}", "--help"])
    with pytest.raises(SystemExit) as ended:
        import_module(f"harness.{name}.__main__").main()
    assert ended.value.code == 0
    assert capsys.readouterr().out == by_word
    assert f"usage: harness {name}" in by_word


HELP = """
import sys
from harness.__main__ import main
code = main()
imported = {"hydra", "pandas", "rich", "harness.tracking", "harness.runs"} & set(sys.modules)
print(code, *sorted(imported), file=sys.stderr)
"""


@pytest.mark.parametrize("words", [[], ["--help"], *([name, "-h"] for name in COMMANDS)])
def test_help_imports_little(words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HELP, *words], cwd=ROOT, capture_output=True, text=True, check=True
    )
    imported = done.stderr.split()
    if words and words[0] in COMMANDS and "hydra" in imported:
        imported.remove("hydra")  # its grammar tells the words of some commands apart
    assert imported == ["0"]
    assert "usage: harness" in done.stdout


def test_an_import_shows() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HELP.replace("main()", "__import__('rich') and main()"), "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == "0 rich\n"


@pytest.mark.slow
def test_nothing_typed_shows_what_can_be_typed(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("bare", "help")]
    bare, help_ = run_all([(folders[0], []), (folders[1], ["--help"])])
    assert bare == help_
    assert bare.code == 0
    assert bare.left == []
    for name, about in COMMANDS.items():
        [line] = [line for line in bare.out.splitlines() if line.startswith(f"  {name} ")]
        assert line.endswith(f" {about}")


@pytest.mark.slow
def test_the_nearest_command_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^compre: there is no such command.*'compare'\?$"):
        command_module(["compre"])
    assert command_module(["seed=1"]) is command_module(["-m"]) is command_module(["zzz"]) is None
    [ended] = run_all([(tmp_path / "here", ["exprot", "RUN"])])
    assert (ended.code, ended.out, ended.left) == (2, "", [])
    assert ended.err == "exprot: there is no such command. Did you mean 'export'?\n"
