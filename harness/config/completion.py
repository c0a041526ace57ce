"""Shell completion: the words that may come next on a command line.

Hydra's script, which `harness -sc install=bash` prints, asks `harness -sc query=bash` with the line
in COMP_LINE. Hydra answers for the settings of a run; the names of commands, the options and the
settings that `parity` and `why` take are added here.
"""

import os
import sys
from collections.abc import Callable, Iterable
from contextlib import redirect_stderr, redirect_stdout, suppress
from importlib import import_module
from io import StringIO

import hydra
from hydra._internal.utils import get_args_parser

from harness.config.conf_folder import CONF
from harness.console.arguments import Parser, options_first
from harness.console.commands import COMMANDS

# Commands that take the settings of a run -> what else a word of theirs may begin with.
SETTINGS = {"parity": ["backends="], "why": ["a.", "b."]}
SIDES = ("a.", "b.")


@hydra.main(config_path=str(CONF), config_name="config", version_base="1.3")
def _run(_: object) -> None:
    """Stand for a run, of which Hydra completes the settings and which it does not begin."""


def complete() -> int:
    """Print what may come next; return the exit code."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises instead of exiting
    line = os.environ.get("COMP_LINE", "")
    words = line.split()[1:] + ([""] if line[-1:].isspace() else [])
    print("\n".join(candidates(words, _ask_hydra)))
    return 0


def candidates(words: list[str], ask: Callable[[list[str], str | None], list[str]]) -> list[str]:
    """The words that may stand in the place of the last one, which may be empty.

    `ask` completes the last of a run's settings, given the user's own folder of them.
    """
    *before, word = words or [""]
    command = before.pop(0) if before and before[0] in COMMANDS else None
    if command is None:
        parser = Parser(add_help=False, parents=[get_args_parser()])
    else:
        parser = import_module(f"harness.{command}.arguments").parser()
    options = parser.options()
    if before and (asked := options.get(before[-1])) and asked.nargs is None:  # its value
        return _beginning(word, asked.choices or [])
    if word.startswith("-"):
        return _beginning(word, [name for name in options if name.startswith("--")])
    folder = _value_of("--config-dir", before)
    if command is None:
        names = [] if before else [*COMMANDS]
        return _beginning(word, names) + ask([*options_first(before), word], folder)
    if command in SETTINGS:
        side = word[:2] if command == "why" and word[:2] in SIDES else ""
        settings = [*_settings(before, side), word.removeprefix(side)]
        return _beginning(word, SETTINGS[command]) + [side + each for each in ask(settings, folder)]
    return []  # a file or a folder, which the shell completes


def _beginning(word: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(word)]


def _value_of(option: str, words: list[str]) -> str | None:
    """Return the word after an option, or None without the option."""
    return words[words.index(option) + 1] if option in words[:-1] else None


def _settings(words: list[str], side: str) -> list[str]:
    """Return the settings of a run among the words; with a side, also those of that side."""
    common = [each for each in words if "=" in each and not each.startswith(("-", "backends="))]
    return [each.removeprefix(side) for each in common if side and each.startswith(side)] + [
        each for each in common if not each.startswith(SIDES)
    ]


def _ask_hydra(settings: list[str], folder: str | None) -> list[str]:
    """Return Hydra's own completions, which it prints.

    Its messages about a line that is not complete yet would spoil the prompt.
    """
    os.environ["COMP_LINE"] = " ".join(["harness", *settings])
    if folder is not None:
        sys.argv += ["--config-dir", folder]
    with redirect_stdout(StringIO()) as said, redirect_stderr(StringIO()), suppress(Exception):
        _run()
    return said.getvalue().split()
