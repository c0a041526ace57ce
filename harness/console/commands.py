"""The commands besides a run and a sweep, by their first word: `harness compare …`.

Each command is a package with a `__main__`, so `python -m harness.compare …` does the same. Its
command line is in `arguments`, which imports little: the shell asks it for completions.
"""

from collections.abc import Sequence

from harness.core.errors import ConfigError, nearest

COMMANDS = {
    "compare": "show the last sweep's backends side by side",
    "parity": "check that backends compute the same, or find where they part",
    "why": "explain why two ways of training differ",
    "reproduce": "repeat a recorded run and say whether it comes out the same",
    "adopt": "make a run of a trained network in another program's file",
    "diff": "say whether two trained networks compute the same, or why not",
    "record": "run a program as it is, and record a training in it",
    "identify": "find the numeric rules by which a recorded training went",
    "repeat": "train a recorded training again in every backend, as runs",
    "export": "write a trained network that a framework loads by itself",
    "doctor": "find and mend what is wrong with recorded runs",
    "sync": "send to MLflow whatever it lacks of recorded runs",
    "vectors": "write numbers that any recurrent layer must repeat",
}


def command_module(words: Sequence[str]) -> str | None:
    """Return the module of the command that `words` begin with, or None for a run or a sweep.

    Raises `ConfigError` for a first word that is nearly a command's name.
    """
    first = words[0] if words else ""
    if first in COMMANDS:
        return f"harness.{first}.__main__"
    if first.isalpha() and (suggestion := nearest(first, COMMANDS)):
        raise ConfigError(f"{first}: there is no such command.{suggestion}")
    return None
