"""Where summaries are printed."""

import sys

from rich.console import Console

WIDTH = 110  # of tables that go to a file or a pipe, where there is no terminal to ask
NARROWEST = 80  # that any table is made for


def console() -> Console:
    """Standard output; colours and the terminal's own width only on a terminal. A narrow one breaks
    the lines of a table, where fewer columns would cut its numbers short."""
    if not sys.stdout.isatty():
        return Console(width=WIDTH)
    return Console(width=max(Console().width, NARROWEST))


def say(line: str, console: Console) -> None:
    """Print a line as it is. Rich would take [b] and :b: in a path for its own, and widen tabs."""
    print(line, file=console.file)
