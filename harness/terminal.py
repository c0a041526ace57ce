"""Where summaries are printed."""

import sys

from rich.console import Console

WIDTH = 110  # of tables that go to a file or a pipe, where there is no terminal to ask


def console() -> Console:
    """Standard output; colours and the terminal's own width only on a terminal."""
    return Console() if sys.stdout.isatty() else Console(width=WIDTH)
