"""`python -m harness resume=RUN …`: a new run that goes on where RUN has left off.

Its configuration is RUN's `config.yaml` with what is typed on top of it. The backend, the device,
the precision and how training goes on may change; what was learnt, by which network and from which
seeds may not, since the state of training would then mean something else.
"""

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.config.compose import Composed
from harness.config.damaged_files import reading
from harness.config.parsing import from_hydra
from harness.config.saved_config import load_config, with_overrides
from harness.config.schema import Config
from harness.console.command_line import override
from harness.core.errors import ConfigError, nearest
from harness.core.file_names import CHECKPOINTS, CONFIG
from harness.core.model import Params
from harness.runs.find import find_run
from harness.runs.folders import FETCHED
from harness.runs.resume_rules import refuse_changes, say_changes
from harness.tracking import provenance
from harness.tracking.journal import Event, last, read
from harness.training.checkpoints import Checkpoint, State, load_checkpoint
from harness.training.plan import Plan

log = logging.getLogger(__name__)

GO_ON = "go on with: "  # begins the note on an exception that says how


@dataclass(frozen=True)
class ResumedRun:
    """The run that is gone on with."""

    directory: Path
    checkpoint: Checkpoint

    @property
    def run(self) -> str:
        """Its id in MLflow; its directory, if MLflow does not know it."""
        address = last(self.directory, "mlflow")
        return str(self.directory.resolve()) if address is None else address["run_id"]

    def curve(self) -> Iterator[Event]:
        """Its journal's metrics of the epochs that the checkpoint has behind it."""
        for event in read(self.directory):
            if event["kind"] == "metrics" and 1 <= event["step"] <= self.checkpoint.epoch:
                yield event

    def values(self) -> Params:
        """The metrics of the checkpoint's epoch, `(R,)` each."""
        values = [e["values"] for e in self.curve() if e["step"] == self.checkpoint.epoch]
        return {name: np.array(each) for name, each in values[-1].items()} if values else {}


def command(directory: Path, results: str, more: Sequence[str] = ()) -> str:
    """What to type to go on with the run in `directory`."""
    words = [override("resume", str(directory))]
    words += [] if results == "results" else [override("results", results)]
    return provenance.command([*words, *more])


@contextmanager
def offered(directory: Path, results: str) -> Iterator[None]:
    """Who stops training, or whose training fails, is told how to go on."""
    try:
        yield
    except BaseException as error:
        if kept(directory):
            error.add_note(f"{GO_ON}{command(directory, results)}")
        raise


def configuration(composed: Composed, overrides: list[str], directory: Path) -> Composed:
    """RUN's configuration with the `overrides` on top, whose groups `composed` has; `resume` and
    `checkpoint` in it are a directory and a name. What has to be fetched goes to `directory`.

    Raises `ConfigError` for a run or checkpoint that is not there or is damaged, and for what
    cannot be or must not change.
    """
    word = str(composed.resume)
    where = (Path(composed.results), composed.tracking.uri)
    folder = find_run("resume=", word, *where, (CONFIG, CHECKPOINTS), directory / FETCHED)
    old = load_config(folder)
    new = with_overrides(old, overrides, f"resume={word}", composed)
    new.resume, new.results = str(folder), composed.results
    new.checkpoint = _checkpoint(folder, word, composed.checkpoint)
    from_hydra(new)  # what is wrong in itself is refused before anything is said
    refuse_changes(old, new, word)
    return new


def resumed(plan: Plan) -> tuple[Plan, ResumedRun | None]:
    """The plan with the state of the checkpoint that `resume` names, and where that comes from; as
    it is, and None, without `resume`. Raises `ConfigError` where training cannot go on from it.
    """
    origin = _origin(plan.config, plan.start)
    if origin is not None:
        plan = replace(plan, start=origin.checkpoint.state)
    return plan, origin


def _origin(config: Config, start: State) -> ResumedRun | None:
    """The checkpoint to begin with, in the precision and shapes of `start`."""
    if config.resume is None:
        if config.checkpoint is not None:
            raise ConfigError(f"checkpoint={config.checkpoint}: needs resume=RUN.")
        return None
    folder = Path(config.resume)
    name = _checkpoint(folder, config.resume, config.checkpoint)
    found = _read(folder, name)
    _check_state(found.state, start)
    _check_rest(config, folder, name, found)
    best = None if found.best is None else _cast(found.best, config.precision)
    say_changes(load_config(folder), config, name)
    return ResumedRun(folder, replace(found, state=_cast(found.state, config.precision), best=best))


def _check_rest(config: Config, folder: Path, name: str, found: Checkpoint) -> None:
    """Something is left to be done: epochs, or, for a run that was stopped after its last one, its
    evaluation and its files."""
    epochs, patience, done = config.trainer.epochs, config.trainer.patience, found.epoch
    waited = done - found.stopping.get("epoch", np.array(done))  # since the best epoch, (R,)
    stopped_early = patience is not None and bool((waited >= patience).all())
    unfinished = not _finished(folder) and name == kept(folder)[-1]
    if unfinished and (epochs == done or (stopped_early and epochs > done)):
        log.info("completes %s, whose %d epochs are trained", folder, done)
    elif epochs <= done:
        raise ConfigError(
            f"trainer.epochs={epochs}: the checkpoint {name} of {folder} has {done} epochs behind "
            f"it; to train on, give the new total, such as trainer.epochs={2 * done}."
        )
    elif stopped_early:
        raise ConfigError(
            f"trainer.patience={patience}: {folder} had stopped early by epoch {done}; to train "
            "on, give it more patience, or trainer.patience=null."
        )


def _finished(folder: Path) -> bool:
    """Whether a run came to its end. A journal that was fetched from MLflow may lack its last line,
    but not the seconds that training took, which come last before it."""
    events = list(read(folder))
    ends = [event["status"] for event in events if event["kind"] == "end"]
    if ends:
        return ends[-1] == "FINISHED"
    return not events or any("time/train_s" in event.get("values", {}) for event in events)


def kept(directory: Path) -> list[str]:
    """The names of a run's checkpoints, first to last; a file of another name is none."""
    names = [path.stem for path in directory.glob(f"{CHECKPOINTS}/*.safetensors")]
    found = [name for name in names if re.fullmatch(r"epoch-[0-9]+", name)]
    return sorted(found, key=lambda name: int(name.removeprefix("epoch-")))


def _checkpoint(folder: Path, word: str, asked: Any) -> str:
    """The name of the checkpoint that was asked for, or of the last."""
    names = kept(folder)
    if not names:
        raise ConfigError(f"resume={word}: this run has no checkpoint; {_why_none(folder)}.")
    name = names[-1] if asked is None else str(asked)
    if name not in names:
        raise ConfigError(
            f"checkpoint={name}: must be one of {', '.join(names)}.{nearest(name, names)}"
        )
    return name


def _why_none(folder: Path) -> str:
    """Why a run has kept nothing, and what to do about it."""
    done = max((e["step"] for e in read(folder) if e["kind"] == "metrics"), default=0)
    if done == 0:
        return "it ended before its first epoch was done; start it again"
    end, every = last(folder, "end"), load_config(folder).trainer.checkpoint_every
    if end is None and (every == 0 or done < every):
        return (
            f"it was killed in epoch {done + 1}, or still trains, and trainer.checkpoint_every="
            f"{every} had kept nothing; start it again with trainer.checkpoint_every=10 or so"
        )
    how = f"it ended as {end['status']}" if end else "it was killed, or still trains,"
    return f"{how} after {done} epochs, and its {CHECKPOINTS} are gone; train it again"


def _read(folder: Path, name: str) -> Checkpoint:
    path = folder / CHECKPOINTS / f"{name}.safetensors"
    others = [f"checkpoint={other}" for other in kept(folder) if other != name]
    with reading(path, f"choose {others[-1]}" if others else "train the run again"):
        return load_checkpoint(path)


def _check_state(found: State, start: State) -> None:
    """Every array that the new run needs is there, in its shape."""
    if set(found.slots) != set(start.slots):
        has, needs = (", ".join(sorted(s.slots)) or "none" for s in (found, start))
        raise ConfigError(
            f"optimizer: the checkpoint's memory is {has}, but the optimiser needs {needs}; choose "
            "the optimizer and momentum of the run that is resumed."
        )
    pairs = [(found.params, start.params)]
    pairs += [(found.slots[slot], start.slots[slot]) for slot in start.slots]
    for there, here in pairs:
        shapes = [{name: value.shape for name, value in p.items()} for p in (there, here)]
        if shapes[0] != shapes[1]:
            raise ConfigError(
                f"model: the checkpoint's arrays are {shapes[0]}, but the network needs "
                f"{shapes[1]}; choose the model of the run that is resumed."
            )


def _cast(state: State, dtype: str) -> State:
    def cast(arrays: Params) -> Params:
        return {name: value.astype(dtype) for name, value in arrays.items()}

    return State(cast(state.params), {s: cast(v) for s, v in state.slots.items()}, state.step)
