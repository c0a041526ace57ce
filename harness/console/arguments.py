"""A command line whose mistakes are one line, as everywhere here.

`argparse` would print its usage, three to eight lines of it, and end the process. A mistake is a
`ConfigError` instead: the command prints it and ends with exit code 2.
"""

import argparse
import re
from typing import NoReturn

from harness.core.errors import ConfigError

KINDS = {"int": "a whole number", "float": "a number"}


class Parser(argparse.ArgumentParser):
    """Raises `ConfigError` where `ArgumentParser` would exit; `--help` is as it was."""

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
