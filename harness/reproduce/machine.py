"""What was different where a run was recorded: versions, processor, device, kernel, commit."""

import platform
import re
from dataclasses import dataclass

from harness.config.schema import Config
from harness.console.command_line import python, shell_line
from harness.reproduce.recorded_run import RecordedRun
from harness.system.processor import processor
from harness.tracking import provenance

COMMIT = "mlflow.source.git.commit"
# Versions that decide how a number is computed or drawn.
NUMERIC = ("numpy", "torch", "tensorflow", "keras", "jax")
BACKENDS = ("numpy", "torch", "keras", "jax")


@dataclass(frozen=True)
class Fact:
    """One fact about where a run was trained, as it was recorded and as it is here."""

    name: str
    recorded: str
    here: str

    @property
    def changed(self) -> bool:
        """Whether it is known to differ."""
        return "unknown" not in (self.recorded, self.here) and self.recorded != self.here


def facts(
    run: RecordedRun, recorded: dict[str, str], now: Config, tags: dict[str, str]
) -> list[Fact]:
    """Return every fact that the run's tags or the tags here have.

    `recorded` has the settings of the run, `now` is the configuration of the repetition, and `tags`
    are its device, kernel and threads.
    """
    revision = provenance.commit()
    here = provenance.versions() | {"host": platform.node(), "processor": processor()}
    here |= {} if revision is None else {COMMIT: revision}
    here |= tags | {"backend": now.backend.name}
    there = recorded | run.tags | {"backend": recorded["backend"]}
    known = ("backend", "device", "kernel", "threads", "processor", "host", COMMIT)
    versions = [name for name in here | there if name.startswith("version.")]
    return [
        Fact(
            name={COMMIT: "commit"}.get(name, name.removeprefix("version.")),
            recorded=there.get(name, "unknown"),
            here=here.get(name, "none" if name.startswith("version.") else "unknown"),
        )
        for name in (*known, *versions)
        if name in here or name in there
    ]


def restoring(changed: list[Fact]) -> list[str]:
    """Return the commands that bring back the recorded versions and the recorded source."""
    commands: list[str] = []
    pins = [
        f"{fact.name}=={fact.recorded}"
        for fact in changed
        if fact.name in NUMERIC and re.fullmatch(r"[\w.+!]+", fact.recorded, re.ASCII)
    ]
    if pins:
        commands.append(shell_line(["python", "-m", "pip", "install", *pins]))
    for fact in changed:
        revision = fact.recorded.removesuffix("+dirty")
        if fact.name == "commit" and re.fullmatch(r"[0-9a-f]{7,40}", revision):
            commands.append(shell_line(["git", "checkout", revision]))
    return commands


def across_backends(words: list[str], recorded: str, now: Config) -> list[str]:
    """Return the command that repeats a run in the first backend that is neither of these two.

    `words` are the run and the options of the command.
    """
    others = [name for name in BACKENDS if name not in (recorded, now.backend.name)]
    return [python("harness.reproduce", [*words, "--with", f"backend={others[0]}"])]
