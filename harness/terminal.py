"""Where summaries are printed."""

import shlex
import sys
from pathlib import Path

from rich.console import Console

from harness import saved_view

WIDTH = 110  # of tables that go to a file or a pipe, where there is no terminal to ask


def console() -> Console:
    """Standard output; colours and the terminal's own width only on a terminal."""
    return Console() if sys.stdout.isatty() else Console(width=WIDTH)


def say_next(
    results: str, address: dict[str, str], console: Console, experiment: str | None = None
) -> None:
    """What to type after a run (of an experiment) or a sweep; `address` is where MLflow has it."""
    uri = address["uri"]
    words = ["python", "-m", "harness.compare"]
    words += [] if results == "results" else ["--results", results]
    words += ["--uri", uri] if not uri.endswith(f"{Path(results).resolve()}/mlflow.db") else []
    words += ["--experiment", experiment] if experiment else []
    lines = [shlex.join(words)]
    if uri.startswith("http"):
        lines.append(saved_view.link(address["experiment_id"], uri))
    else:
        lines.append(shlex.join(["mlflow", "ui", "--backend-store-uri", uri]))
        lines.append(saved_view.link(address["experiment_id"]))
    for start, line in zip(["next", *[""] * len(lines)], lines, strict=False):
        console.print(f"  {start:<8} {line}", soft_wrap=True)
