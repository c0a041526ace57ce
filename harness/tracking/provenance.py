"""Where a run came from: versions, host, commit and the command that repeats it."""

import getpass
import importlib.metadata
import platform
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from harness.config.compose import own_folders
from harness.console.command_line import python

PACKAGES = ("numpy", "torch", "tensorflow", "keras", "jax", "mlflow", "hydra-core")


@cache
def versions() -> dict[str, str]:
    """Installed versions by package, read without importing any of them."""
    found = {"version.python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[f"version.{package}"] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@cache
def commit() -> str | None:
    """The commit of the harness' own source, with `+dirty` if files differ from it."""
    root = Path(__file__).resolve().parent.parent.parent
    if not (root / ".git").exists():  # installed somewhere: a repository around it is not ours
        return None
    shown = ["git", "-C", str(root), "describe", "--always", "--dirty=+dirty", "--abbrev=40"]
    try:
        done = subprocess.run(shown, capture_output=True, encoding="utf-8", timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def machine() -> dict[str, Any]:
    """Where numbers were computed: versions, host, processor, commit."""
    return {
        "versions": versions(),
        "host": platform.node(),
        "machine": f"{platform.machine()}, {platform.system()}",
        "commit": commit(),
    }


def user() -> str:
    """Who runs this; a container may have no name for them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def command(overrides: list[str]) -> str:
    """The shell command that runs one configuration, with the folder of the user's own files."""
    flags = [word for path in own_folders() for word in ("--config-dir", path)]
    return python("harness", [*flags, *overrides])


def tags(overrides: list[str], directory: Path) -> dict[str, str]:
    """Tags for MLflow that say where a run came from."""
    found = versions() | {
        "host": platform.node(),
        "command": command(overrides),
        "run_directory": str(directory.resolve()),
        "mlflow.user": user(),
        "mlflow.source.name": command(overrides),
        "mlflow.source.type": "LOCAL",
    }
    presets = [o.partition("=")[2] for o in overrides if o.startswith("experiment=")]
    if presets:
        found["preset"] = presets[-1]
    revision = commit()
    return found if revision is None else found | {"mlflow.source.git.commit": revision}
