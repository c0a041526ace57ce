"""An argument parser whose error messages are one line.

`argparse` would print three to eight lines of usage and end the process. This parser raises
`ConfigError` instead, which the command prints, and then ends with exit code 2.
"""

import argparse
import re
from pathlib import Path
from typing import Any, NoReturn

from harness.core.errors import ConfigError, check_choice

KINDS = {"int": "a whole number", "float": "a number"}


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` that raises `ConfigError` where the original exits on a mistake.

    Its help begins with `purpose`, a sentence, and ends with `examples`, a command on each line.
    """

    def __init__(self, *, purpose: str = "", examples: str = "", **settings: Any) -> None:
        if examples:
            settings["formatter_class"] = argparse.RawDescriptionHelpFormatter
            settings["epilog"] = "examples:\n" + examples.rstrip()
        super().__init__(**settings)
        self.purpose = purpose

    def add_places(self, results: str | None = "results") -> None:
        """Add the options that say where runs are; `results` is the default of the first."""
        self._add_results(results)
        self.add_argument("--uri", help="MLflow's tracking URI (default: in the results)")

    def add_journals(self) -> None:
        """Add the words that name runs or folders of them, and where the results are."""
        words = "a run, a sweep or a folder of them (default: the results)"
        self.add_argument("words", metavar="RUN_OR_FOLDER", nargs="*", help=words)
        self._add_results("results")

    def _add_results(self, results: str | None) -> None:
        folder = "folder of the results (default: results)"
        self.add_argument("--results", metavar="DIR", default=results, type=Path, help=folder)

    def options(self) -> dict[str, argparse.Action]:
        """Return the options by their names, such as `--out`."""
        return {name: action for action in self._actions for name in action.option_strings}

    def format_help(self) -> str:
        """Return the help, with its purpose first."""
        return (
            f"{self.purpose}\n\n{super().format_help()}" if self.purpose else super().format_help()
        )

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Raise `ConfigError` for a value that is not one of the option's choices."""
        if action.choices is not None:
            check_choice("/".join(action.option_strings) or action.dest, value, action.choices)

    def error(self, message: str) -> NoReturn:
        """Raise `ConfigError` with argparse's `message`, reworded."""
        raise ConfigError(f"{_reworded(message)}; see {self.prog} --help.")


# Hydra's options that take the next word as their value.
OPTIONS_WITH_VALUE = (
    *("--cfg", "-c", "--package", "-p", "--config-path", "-cp", "--config-name", "-cn"),
    *("--config-dir", "-cd", "--experimental-rerun", "--info", "-i"),
)


def options_first(words: list[str]) -> list[str]:
    """Put the options of a command line in front of its overrides, where argparse needs them.

    `task=sum -m seed=0,1` becomes `-m task=sum seed=0,1`.
    """
    options, overrides = [], []
    remaining = iter(words)
    for word in remaining:
        if not word.startswith("-"):
            overrides.append(word)
            continue
        options.append(word)
        if word in OPTIONS_WITH_VALUE:
            options += [value for value in [next(remaining, None)] if value is not None]
    return [*options, *overrides]


def _reworded(message: str) -> str:
    """Return a message of argparse with the option and the received value in front."""
    if match := re.fullmatch(r"argument (.+): invalid (int|float) value: '(.*)'", message, re.S):
        return f"{match[1]} {match[3]}: must be {KINDS[match[2]]}"
    if match := re.fullmatch(r"argument (.+): expected one argument", message):
        return f"{match[1]}: needs a value"
    if match := re.fullmatch(r"unrecognized arguments: (.+)", message, re.S):
        words = match[1].split()
        options = [word for word in words if word.startswith("-")]  # the others may be its values
        return f"{(options or words)[0]}: no such option or argument"
    if match := re.fullmatch(r"the following arguments are required: (.+)", message):
        return f"{match[1]}: must be given"
    return message.removeprefix("argument ")
