"""The console on which summaries are printed, and its width."""

import sys

from rich.console import Console

WIDTH = 110  # columns of a file or a pipe, which has no width of its own
NARROWEST = 80  # columns for which every table is designed


def console() -> Console:
    """Return a console on standard output, with colours only on a terminal.

    Its width is the terminal's, at least `NARROWEST`: a narrower terminal breaks a table's lines,
    where a narrower table would cut its numbers short.
    """
    if not sys.stdout.isatty():
        return Console(width=WIDTH)
    return Console(width=max(Console().width, NARROWEST))


def say(line: str, console: Console) -> None:
    """Print a line unchanged: Rich would interpret [b] and :b: in a path, and expand tabs."""
    print(line, file=console.file)
