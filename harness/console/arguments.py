"""A command line whose mistakes are one line, as everywhere here.

`argparse` would print its usage, three to eight lines of it, and end the process. A mistake is a
`ConfigError` instead: the command prints it and ends with exit code 2.
"""

import argparse
import re
from typing import Any, NoReturn

from harness.core.errors import ConfigError, check_choice

KINDS = {"int": "a whole number", "float": "a number"}


class Parser(argparse.ArgumentParser):
    """Raises `ConfigError` where `ArgumentParser` would exit.

    Its help begins with `purpose`, a sentence, and ends with `examples`, a command on each line."""

    def __init__(self, *, purpose: str = "", examples: str = "", **settings: Any) -> None:
        if examples:
            settings["formatter_class"] = argparse.RawDescriptionHelpFormatter
            settings["epilog"] = "examples:\n" + examples.rstrip()
        super().__init__(**settings)
        self.purpose = purpose

    def format_help(self) -> str:
        return (
            f"{self.purpose}\n\n{super().format_help()}" if self.purpose else super().format_help()
        )

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Refuse a value that is not one of an option's choices, as everywhere here."""
        if action.choices is not None:
            check_choice("/".join(action.option_strings) or action.dest, value, action.choices)

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{_said(message)}; see {self.prog} --help.")


# Hydra's options with a value of their own.
VALUED = (
    *("--cfg", "-c", "--package", "-p", "--config-path", "-cp", "--config-name", "-cn"),
    *("--config-dir", "-cd", "--experimental-rerun", "--info", "-i"),
)


def options_first(words: list[str]) -> list[str]:
    """The command line with its options in front of its overrides, where argparse needs them:
    `task=sum -m seed=0,1` as `-m task=sum seed=0,1`."""
    options, overrides = [], []
    remaining = iter(words)
    for word in remaining:
        if not word.startswith("-"):
            overrides.append(word)
            continue
        options.append(word)
        if word in VALUED:
            options += [value for value in [next(remaining, None)] if value is not None]
    return [*options, *overrides]


def _said(message: str) -> str:
    """argparse's words with the option and what it received in front."""
    if found := re.fullmatch(r"argument (.+): invalid (int|float) value: '(.*)'", message, re.S):
        return f"{found[1]} {found[3]}: must be {KINDS[found[2]]}"
    if found := re.fullmatch(r"argument (.+): expected one argument", message):
        return f"{found[1]}: needs a value"
    if found := re.fullmatch(r"unrecognized arguments: (.+)", message, re.S):
        words = found[1].split()
        unknown = [word for word in words if word.startswith("-")]  # the first is what went wrong
        return f"{(unknown or words)[0]}: no such option or argument"
    if found := re.fullmatch(r"the following arguments are required: (.+)", message):
        return f"{found[1]}: must be given"
    return message.removeprefix("argument ")
