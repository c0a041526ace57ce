"""Where summaries are printed."""

import shlex
import sys
from pathlib import Path

from rich.console import Console

from harness import saved_view

WIDTH = 110  # of tables that go to a file or a pipe, where there is no terminal to ask
NARROWEST = 80  # that any table is made for


def console() -> Console:
    """Standard output; colours and the terminal's own width only on a terminal. A narrow one breaks
    the lines of a table, where fewer columns would cut its numbers short."""
    if not sys.stdout.isatty():
        return Console(width=WIDTH)
    return Console(width=max(Console().width, NARROWEST))


def compare_command(results: str, uri: str, experiment: str | None = None) -> str:
    """What to type to see runs side by side: those of the latest sweep, or of an experiment."""
    words = ["python", "-m", "harness.compare"]
    words += [] if results == "results" else ["--results", results]
    words += ["--uri", uri] if not uri.endswith(f"{Path(results).resolve()}/mlflow.db") else []
    return shlex.join([*words, *(["--experiment", experiment] if experiment else [])])


def say_next(command: str, address: dict[str, str], console: Console) -> None:
    """What to type next: `command`, and how to browse MLflow at `address`."""
    uri, lines = address["uri"], [command]
    if uri.startswith("http"):
        lines.append(saved_view.link(address["experiment_id"], uri))
    else:
        lines.append(shlex.join(["mlflow", "ui", "--backend-store-uri", uri]))
        lines.append(saved_view.link(address["experiment_id"]))
    for start, line in zip(["next", *[""] * len(lines)], lines, strict=False):
        console.print(f"  {start:<8} {line}", soft_wrap=True, markup=False)
