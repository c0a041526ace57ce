"""Where summaries are printed."""

import sys

from rich.console import Console

from harness import saved_view

WIDTH = 110  # of tables that go to a file or a pipe, where there is no terminal to ask


def console() -> Console:
    """Standard output; colours and the terminal's own width only on a terminal."""
    return Console() if sys.stdout.isatty() else Console(width=WIDTH)


def say_next(results: str, address: dict[str, str], console: Console) -> None:
    """What to type after a run or a sweep; `address` says where MLflow has it."""
    place = "" if results == "results" else f" --results {results}"
    console.print(f"  next     python -m harness.compare{place}", soft_wrap=True)
    console.print(f"           mlflow ui --backend-store-uri {address['uri']}", soft_wrap=True)
    console.print(f"           {saved_view.link(address['experiment_id'])}", soft_wrap=True)
