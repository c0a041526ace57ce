"""Go on with a sweep that was stopped or of which jobs failed: `sweep.resume=last`, or its folder.

The sweep's journal has the words with which it was begun, so that numbering, names and folders stay
as they are. What has finished is left alone.
"""

from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock

from harness.config.overrides import key_of
from harness.console.arguments import OPTIONS_WITH_VALUE
from harness.console.command_line import override
from harness.core.errors import ConfigError
from harness.core.file_names import JOURNAL, PARENT_LOCK
from harness.sweeps.engines.slurm import is_queued
from harness.system.process_identity import this_process
from harness.tracking.dead_runs import end_if_dead
from harness.tracking.journal import Event, end_of, first
from harness.tracking.journal_writer import append
from harness.tracking.launched_jobs import submission

KEY = "sweep.resume"
LAST = "last"  # its value for the sweep that was begun last
# What may be typed besides: where it is carried out, and how many trials a search has.
OWN = ("results", "sweep.", "hydra.launcher", "hydra/launcher", "hydra.sweeper.trials")


def resumed_words(words: Sequence[str]) -> list[str]:
    """Return the words of the sweep that `sweep.resume` names, with those that were typed.

    Without `sweep.resume` they are returned as they are. Raises `ConfigError` for a sweep that
    cannot go on, and for words that would change its jobs.
    """
    named = [word.partition("=")[2].strip("'\"") for word in words if key_of(word) == KEY]
    if not named or named[-1] in ("", "null"):
        return list(words)
    options, own = _sorted(words)
    for word in own:
        if not key_of(word).startswith(OWN) or key_of(word) == "sweep.file":
            raise ConfigError(
                f"{word}: {KEY}={named[-1]} goes on with the jobs as they were begun; leave it out."
            )
    typed = [word.partition("=")[2].strip("'\"") for word in own if key_of(word) == "results"]
    folder = _folder(named[-1], Path(typed[-1] if typed else "results"))
    begin = first(folder, ("sweep",))
    assert begin is not None
    kept = [word for word in own if key_of(word) not in (KEY, "results")]
    return [
        *("-m", *options, *begin.get("options", [])),
        *(word for word in begin["arguments"] if not key_of(word).startswith("sweep.")),
        *_hydra_words(begin),
        *_results(begin, folder),
        *(override("hydra.sweep.dir", str(folder)), override(KEY, str(folder)), *kept),
    ]


def _sorted(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the options, with their values and without `-m`, and the overrides."""
    options: list[str] = []
    overrides: list[str] = []
    for before, word in zip(["", *words], words, strict=False):
        is_option = word.startswith("-") or before in OPTIONS_WITH_VALUE
        (options if is_option else overrides).append(word)
    return [word for word in options if word not in ("-m", "--multirun")], overrides


def _folder(name: str, results: Path) -> Path:
    """Return the folder of the sweep `name`. Raises `ConfigError`."""
    if name == LAST:
        known = [path.parent for path in results.glob(f"multirun/*/{JOURNAL}")]
        begun = [folder for folder in known if first(folder, ("sweep",)) is not None]
        if not begun:
            raise ConfigError(f"{KEY}=last: there is no sweep in {results / 'multirun'}.")
        name = str(max(begun))
    candidates = (Path(name).expanduser(), results / "multirun" / name)
    folder = next((path for path in candidates if (path / JOURNAL).is_file()), None)
    if folder is None or first(folder, ("sweep",)) is None:
        raise ConfigError(
            f"{KEY}={name}: must be last or the folder of a sweep, such as those in "
            f"{results / 'multirun'}."
        )
    return folder.resolve()


def _hydra_words(begin: Event) -> list[str]:
    places = ("hydra.sweep.dir", "hydra.mode", "hydra.launcher", "hydra/launcher")
    return [word for word in begin.get("hydra", []) if not key_of(word).startswith(places)]


def _results(begin: Event, folder: Path) -> list[str]:
    """Return the override that names the sweep's results, as seen from the current directory."""
    typed = [word.partition("=")[2] for word in begin["arguments"] if key_of(word) == "results"]
    usual = Path((typed or ["results"])[-1].strip("'\"")).resolve()
    results = (folder / begin.get("results", usual)).resolve()
    return [] if results == usual else [override("results", str(results))]


def go_on(folder: Path) -> None:
    """Let this process be the one that carries out the sweep in `folder`. Raises `ConfigError`."""
    with FileLock(folder / PARENT_LOCK):
        submitted = submission(folder)
        if submitted is not None and is_queued(submitted):
            raise ConfigError(
                f"{KEY}={folder}: tasks that were submitted for it still wait or run "
                f"({', '.join(submitted['ids'])}); wait, or cancel them first."
            )
        end_if_dead(folder, is_gone=submitted is not None)
        if end_of(folder) is None:
            raise ConfigError(f"{KEY}={folder}: its process still runs; wait, or stop it first.")
        append(folder, "resumed", process=this_process())
