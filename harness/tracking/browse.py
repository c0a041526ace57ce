"""The commands and addresses with which to look at runs: `harness.compare` and MLflow's pages."""

from pathlib import Path

from rich.console import Console

from harness.config.tracking_store import URI, from_environment
from harness.console.command_line import option, python, shell_line
from harness.console.terminal import say
from harness.tracking import mlflow_view


def compare_command(results: str, uri: str, experiment: str | None = None) -> str:
    """Return the command that compares the runs of the latest sweep, or of an experiment."""
    words = [] if results == "results" else option("--results", results)
    is_default = uri.endswith(f"{Path(results).resolve()}/mlflow.db") and not from_environment(URI)
    words += [] if is_default else ["--uri", uri]
    words += [] if experiment is None else option("--experiment", experiment)
    return python("harness.compare", words)


def missing(problem: str, directory: Path) -> str:
    """Return the line for a run or a sweep that MLflow does not have in full."""
    command = python("harness.sync", [str(directory)])
    return f"MLflow   does not have all of it yet ({problem or 'it is slow'}): {command}"


def say_next(command: str, address: dict[str, str], console: Console) -> None:
    """Print the next steps: `command`, and how to browse the run at `address` in MLflow."""
    uri, lines = address["uri"], [command]
    if uri.startswith("http"):
        lines.append(mlflow_view.link(address["experiment_id"], uri))
    else:
        lines.append(shell_line(["mlflow", "ui", "--backend-store-uri", uri]))
        lines.append(mlflow_view.link(address["experiment_id"]))
    for start, line in zip(["next", *[""] * len(lines)], lines, strict=False):
        say(f"  {start:<8} {line}", console)
