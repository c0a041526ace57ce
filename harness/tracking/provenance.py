"""The provenance of a run: versions, host, commit and the command that repeats it."""

import getpass
import importlib.metadata
import platform
import subprocess
from functools import cache
from pathlib import Path
from typing import TypedDict

from harness.config.compose import own_folders
from harness.console.command_line import python
from harness.system.processor import processor

PACKAGES = ("numpy", "torch", "tensorflow", "keras", "jax", "mlflow", "hydra-core")


class Machine(TypedDict):
    """Where numbers were computed, for JSON files."""

    versions: dict[str, str]
    host: str
    machine: str  # the processor's kind and the operating system
    commit: str | None


@cache
def versions() -> dict[str, str]:
    """Return the installed version of each package, without importing any of them."""
    installed = {"version.python": platform.python_version()}
    for package in PACKAGES:
        try:
            installed[f"version.{package}"] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return installed


@cache
def commit() -> str | None:
    """Return the commit of the harness' own source, with `+dirty` if files differ, or None."""
    root = Path(__file__).resolve().parent.parent.parent
    if not (root / ".git").exists():  # installed: a repository around it is not the harness'
        return None
    describe = ["git", "-C", str(root), "describe", "--always", "--dirty=+dirty", "--abbrev=40"]
    try:
        result = subprocess.run(
            describe, capture_output=True, encoding="utf-8", timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()


def machine() -> Machine:
    """Return where numbers are computed: versions, host, processor, commit."""
    return {
        "versions": versions(),
        "host": platform.node(),
        "machine": f"{platform.machine()}, {platform.system()}",
        "commit": commit(),
    }


def user() -> str:
    """Return the user's name; `unknown` in a container that has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def command(overrides: list[str]) -> str:
    """Return the shell command of one configuration, with the folders of the user's own files."""
    flags = [word for path in own_folders() for word in ("--config-dir", path)]
    return python("harness", [*flags, *overrides])


def tags(overrides: list[str], directory: Path, results: Path) -> dict[str, str]:
    """Return MLflow's tags of the provenance of a run, whose results are kept in `results`."""
    directory, results = directory.resolve(), results.resolve()
    inside = directory.is_relative_to(results)
    values = versions() | {
        "host": platform.node(),
        "processor": processor(),
        "command": command(overrides),
        "run_directory": str(directory.relative_to(results) if inside else directory),
        "mlflow.user": user(),
        "mlflow.source.name": command(overrides),
        "mlflow.source.type": "LOCAL",
    }
    presets = [o.partition("=")[2] for o in overrides if o.startswith("experiment=")]
    if presets:
        values["preset"] = presets[-1]
    revision = commit()
    return values if revision is None else values | {"mlflow.source.git.commit": revision}
