"""Resuming: `python -m harness resume=RUN …` starts a new run from a checkpoint of RUN.

Its configuration is RUN's `config.yaml` with the typed overrides applied to it. The backend, the
device, the precision and the rest of the training may change. The task, the network, the seeds and
the kind of optimiser may not, since the checkpoint's state would then mean something else.
"""

import json
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.config.compose import Composed, own_folders
from harness.config.damaged_files import reading
from harness.config.parsing import from_hydra
from harness.config.saved_config import load_config, with_overrides
from harness.config.schema import Config
from harness.console.command_line import override
from harness.core.errors import ConfigError, nearest
from harness.core.file_names import CHECKPOINTS, CONFIG, FETCHED, JOURNAL
from harness.core.model import Params
from harness.runs.checkpoint_file import read_checkpoint
from harness.runs.checksums import check_file
from harness.runs.find import find_run
from harness.runs.input_files import accept_moved_data, load_restored
from harness.runs.recorded_kernel import run_tags, with_recorded_kernel
from harness.runs.resume_rules import changed_keys, check_changes, log_changes
from harness.tracking import provenance
from harness.tracking.journal import Event, last, read
from harness.tracking.sent import address
from harness.training.checkpoints import Checkpoint, State
from harness.training.plan import Plan

log = logging.getLogger(__name__)

RESUME_NOTE = (
    "go on with: "  # begins the note on an exception with the command that resumes the run
)


@dataclass(frozen=True)
class ResumedRun:
    """The run that is resumed, and the checkpoint that training starts from."""

    directory: Path
    checkpoint: Checkpoint

    @property
    def run(self) -> str:
        """The run's id in MLflow, or its directory where MLflow does not know it."""
        known = address(self.directory)
        return str(self.directory.resolve()) if known is None else known["run_id"]

    def curve(self) -> Iterator[Event]:
        """Yield the journal's metrics of epochs 1 to the checkpoint's."""
        for event in read(self.directory):
            if event["kind"] == "metrics" and 1 <= event["step"] <= self.checkpoint.epoch:
                yield event

    def values(self) -> Params:
        """Return the metrics of the checkpoint's epoch, `(R,)` each; empty where there are none."""
        epochs = [e["values"] for e in self.curve() if e["step"] == self.checkpoint.epoch]
        return {name: np.array(values) for name, values in epochs[-1].items()} if epochs else {}


def command(directory: Path, results: str, more: Sequence[str] = ()) -> str:
    """Return the command that resumes the run in `directory`, with the overrides `more`."""
    words = [override("resume", str(directory))]
    words += [] if results == "results" else [override("results", results)]
    return provenance.command([*words, *more])


@contextmanager
def note_resume_command(directory: Path, results: str) -> Iterator[None]:
    """Add the command that resumes the run to an exception that stops or fails its training."""
    try:
        yield
    except BaseException as error:
        if checkpoint_names(directory):
            error.add_note(f"{RESUME_NOTE}{command(directory, results)}")
        raise


def configuration(composed: Composed, overrides: list[str], directory: Path) -> Composed:
    """Return RUN's configuration with `overrides` applied to it.

    `composed` has the groups that the overrides choose. In the result, `resume` is a directory and
    `checkpoint` a name. Files that only MLflow has are downloaded below `directory`.

    Raises `ConfigError` for a missing or damaged run or checkpoint, for an invalid value, and for a
    change that resuming does not allow.
    """
    word = str(composed.resume)
    where = (Path(composed.results), composed.tracking.uri)
    folder = find_run("resume=", word, *where, (CONFIG, CHECKPOINTS), directory / FETCHED)
    check_file(folder, CONFIG)
    old = load_restored(folder)
    own = [Path(path) for path in own_folders()]
    new = with_overrides(old, overrides, f"resume={word}", composed, own)
    new.resume, new.results = str(folder), composed.results
    new.checkpoint = _checkpoint(folder, word, composed.checkpoint)
    accept_moved_data(old, new, folder, word)
    from_hydra(new)  # checks every value before it is compared with the old one
    check_changes(old, new, word)
    return new


def resumed(plan: Plan) -> tuple[Plan, ResumedRun | None]:
    """Return the plan with the checkpoint's state as its start, and the run that is resumed.

    Without `resume`, return the plan as it is, and None. A run that only goes on, with all settings
    as they were, keeps its kernel and threads. Raises `ConfigError` where training cannot go on
    from the checkpoint.
    """
    origin = _origin(plan.config, plan.start)
    if origin is not None:
        recorded = load_config(origin.directory)
        if not changed_keys(recorded, plan.config):
            plan = with_recorded_kernel(plan, run_tags(origin.directory))
        plan = replace(plan, start=origin.checkpoint.state)
    return plan, origin


def _origin(config: Config, start: State) -> ResumedRun | None:
    """Load the checkpoint to start from; check it against `start` and cast it to the precision."""
    if config.resume is None:
        if config.checkpoint is not None:
            raise ConfigError(f"checkpoint={config.checkpoint}: needs resume=RUN.")
        return None
    folder = Path(config.resume)
    name = _checkpoint(folder, config.resume, config.checkpoint)
    others = [f"checkpoint={word}" for word in checkpoint_names(folder) if word != name]
    remedy = f"choose {others[-1]}" if others else "train the run again"
    recorded = load_config(folder)
    checkpoint = read_checkpoint(folder, name, start, recorded.precision, remedy)
    _check_work_left(config, folder, name, checkpoint)
    _check_curve(folder, checkpoint.epoch)
    best = None if checkpoint.best is None else _cast(checkpoint.best, config.precision)
    _say_cut_line(folder)
    log_changes(recorded, config, name)
    state = _cast(checkpoint.state, config.precision)
    return ResumedRun(folder, replace(checkpoint, state=state, best=best))


def _check_curve(folder: Path, epoch: int) -> None:
    """Raise `ConfigError` if the journal lacks an epoch before the checkpoint's."""
    steps = {event["step"] for event in read(folder) if event["kind"] == "metrics"}
    lost = sorted({*range(1, epoch + 1)} - steps)
    if lost:
        numbers = ", ".join(map(str, lost[:5])) + (", …" if len(lost) > 5 else "")
        raise ConfigError(
            f"{folder / JOURNAL}: has no losses of epoch {numbers}, which a checkpoint has behind "
            "it; restore the file from a copy or from MLflow."
        )


def _check_work_left(config: Config, folder: Path, name: str, checkpoint: Checkpoint) -> None:
    """Raise `ConfigError` where nothing is left to do.

    For a run that was stopped after its last epoch, its evaluation and its files are left.
    """
    epochs, patience, done = config.trainer.epochs, config.trainer.patience, checkpoint.epoch
    waited = done - checkpoint.stopping.get("epoch", np.array(done))  # since the best epoch, (R,)
    stopped_early = patience is not None and bool((waited >= patience).all())
    unfinished = not _finished(folder) and name == checkpoint_names(folder)[-1]
    if unfinished and (epochs == done or (stopped_early and epochs > done)):
        log.info("completes %s, whose %d epochs are trained", folder, done)
    elif epochs <= done:
        raise ConfigError(
            f"trainer.epochs={epochs}: the checkpoint {name} of {folder} has {done} epochs behind "
            f"it; to train on, give the new total, such as trainer.epochs={2 * done or 10}."
        )
    elif stopped_early:
        raise ConfigError(
            f"trainer.patience={patience}: {folder} had stopped early by epoch {done}; to train "
            "on, give it more patience, or trainer.patience=null."
        )


def _say_cut_line(folder: Path) -> None:
    """Log that the journal's last line is left out, where a kill has cut it short."""
    path = folder / JOURNAL
    line = path.read_bytes().rpartition(b"\n")[2] if path.exists() else b""
    try:
        json.loads(line or b"{}")
    except ValueError:
        log.warning("%s: its last line was cut short, and is left out", path)


def _finished(folder: Path) -> bool:
    """Whether a run finished, which its journal alone says: its files may be those of a kill."""
    end = last(folder, "end")
    return end is not None and end["status"] == "FINISHED"


def checkpoint_names(directory: Path) -> list[str]:
    """Return the names of a run's checkpoints, first to last; files of other names are left out."""
    stems = [path.stem for path in directory.glob(f"{CHECKPOINTS}/*.safetensors")]
    names = [stem for stem in stems if re.fullmatch(r"epoch-[0-9]+", stem)]
    return sorted(names, key=lambda name: int(name.removeprefix("epoch-")))


def _checkpoint(folder: Path, word: str, requested: Any) -> str:
    """Return the name of the requested checkpoint, or of the last one."""
    names = checkpoint_names(folder)
    if not names:
        raise ConfigError(f"resume={word}: this run has no checkpoint; {_why_none(folder)}.")
    name = names[-1] if requested is None else str(requested)
    if name not in names:
        raise ConfigError(
            f"checkpoint={name}: must be one of {', '.join(names)}.{nearest(name, names)}"
        )
    return name


def _why_none(folder: Path) -> str:
    """Say why a run has no checkpoint, and what to do about it."""
    done = max((e["step"] for e in read(folder) if e["kind"] == "metrics"), default=0)
    if done == 0:
        return "it ended before its first epoch was done; start it again"
    end, trainer = last(folder, "end"), load_config(folder).trainer
    with reading(folder / CONFIG):
        every, epochs = int(trainer.checkpoint_every), int(trainer.epochs)
    if end is None and (every == 0 or done < every):
        when = f"in epoch {done + 1}" if done < epochs else f"as epoch {done}, its last, was done"
        return (
            f"it was killed {when}, or still trains, and trainer.checkpoint_every="
            f"{every} had kept nothing; start it again with trainer.checkpoint_every=10 or so"
        )
    how = f"it ended as {end['status']}" if end else "it was killed, or still trains,"
    return f"{how} after {done} epochs, and its {CHECKPOINTS} are gone; train it again"


def _cast(state: State, dtype: str) -> State:
    def cast(arrays: Params) -> Params:
        return {name: value.astype(dtype) for name, value in arrays.items()}

    return State(cast(state.params), {s: cast(v) for s, v in state.slots.items()}, state.step)
