"""Where summaries are printed, and what they say is to be typed next."""

import sys
from pathlib import Path

from rich.console import Console

from harness import saved_view
from harness.console.command_line import option, python, shell_line
from harness.system.tracking_store import URI, from_environment

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


def compare_command(results: str, uri: str, experiment: str | None = None) -> str:
    """What to type to see runs side by side: those of the latest sweep, or of an experiment."""
    words = [] if results == "results" else option("--results", results)
    usual = uri.endswith(f"{Path(results).resolve()}/mlflow.db") and not from_environment(URI)
    words += [] if usual else ["--uri", uri]
    words += [] if experiment is None else option("--experiment", experiment)
    return python("harness.compare", words)


def say_next(command: str, address: dict[str, str], console: Console) -> None:
    """What to type next: `command`, and how to browse MLflow at `address`."""
    uri, lines = address["uri"], [command]
    if uri.startswith("http"):
        lines.append(saved_view.link(address["experiment_id"], uri))
    else:
        lines.append(shell_line(["mlflow", "ui", "--backend-store-uri", uri]))
        lines.append(saved_view.link(address["experiment_id"]))
    for start, line in zip(["next", *[""] * len(lines)], lines, strict=False):
        say(f"  {start:<8} {line}", console)
