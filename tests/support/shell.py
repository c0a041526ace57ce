"""Commands as a user pastes them: bash, with the real `harness` on its PATH.

What is shown to a user trains for seconds or minutes; here the same command lines train a tiny
network for an epoch. What a line says itself counts, and a run keeps its name.
"""

import os
import stat
import subprocess
import sys
from pathlib import Path

from tests.support import ROOT
from tests.support.program import PATIENCE, Done

SETTINGS = {"trainer.epochs": "trainer.epochs=1", "task.samples": "task.samples=40"}

# Command -> the words that make it cheap, by the key or option that they set.
TINY = {
    "parity": {"--steps": "--steps=2", "backends": "backends=numpy,torch"},
    "why": {**SETTINGS, "replicas": "replicas=2"},
    "vectors": {"--only": "--only=T1"},
    "compare": {},
    "diff": {},
    "adopt": {},
    "export": {},
    "record": {},
    "identify": {},
    "repeat": {"backend": "backend=numpy,torch"},
    "sync": {},
    "doctor": {},
    "reproduce": {},
}
PRESET = ["--config-dir", str(ROOT / "tests/support/tiny_conf"), "experiment=tiny"]  # of a run

PROGRAM = """\
#!{python}
import sys
from harness.__main__ import main
from tests.support.shell import tiny
sys.argv[1:] = tiny(sys.argv[1:])
sys.exit(main())
"""


AS_THEY_ARE = ("-h", "--help", "-sc", "--cfg", "resume=", "sweep.resume=", "experiment=recorded")


def tiny(words: list[str]) -> list[str]:
    """A command line with settings that make it cheap, but for those that it has."""
    if not words or any(word.startswith(AS_THEY_ARE) for word in words):
        return words
    if any(Path(word, "recording.json").is_file() for word in words):
        return words  # recordings take no settings
    if "--fuzz" in words:
        return [*words, "--fuzz=1", "backends=numpy,torch"]  # the last ones count
    keys = {word.partition("=")[0].removeprefix("a.").removeprefix("b.") for word in words}
    if words[0] not in TINY and not keys & {"experiment", "--config-dir"}:
        return [*words, *PRESET]
    added = TINY.get(words[0], SETTINGS)
    return [*words, *(word for key, word in added.items() if key not in keys)]


def paste(script: str, folder: Path) -> Done:
    """Run lines in bash, in `folder`, until one fails."""
    programs = folder / ".bin"
    if not programs.exists():
        programs.mkdir()
        program = programs / "harness"
        program.write_text(PROGRAM.format(python=sys.executable))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return run_bash(script, folder, str(programs))


def run_bash(script: str, folder: Path, *first: str) -> Done:
    """Run a script in bash, in which the environment's own programs are found, after those in the
    folders `first`."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HYDRA_", "HARNESS_SWEEP"))}
    path = os.pathsep.join([*first, str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "--norc", "-eo", "pipefail", "-c", script],
        cwd=folder,
        env=kept | {"PATH": path, "PYTHONPATH": str(ROOT), "COLUMNS": "80"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    return Done(done.returncode, done.stdout, done.stderr)
