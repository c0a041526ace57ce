"""The initial training state, checkpoints and their files, and which epochs have one.

A checkpoint is a safetensors file: arrays `params/NAME` and `slots/SLOT/NAME` with a leading
replica axis, and in the header the step count and the epochs done. With early stopping it also
holds the best weights so far, as `best/params/…` and `best/slots/…`, and `stopping/…` per replica.
No pickle is written or read.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file  # pyright: ignore[reportUnknownVariableType]

from backends import State, TrainingSpec
from harness.core.arrays import Array
from harness.core.file_names import CHECKPOINTS
from harness.core.model import Params
from harness.system import signals
from harness.system.durable_files import write_file
from harness.training.recorder import Recorder

SLOTS = {"sgd": ("velocity",), "adam": ("m", "v"), "rmsprop": ("v",)}


@dataclass(kw_only=True)
class Checkpoint:
    """All that training needs to resume after `epoch`: the state and early stopping's memory."""

    state: State
    epoch: int
    best: State | None = None
    # `(R,)` each, see `EarlyStopping.memory`
    stopping: Params = field(default_factory=dict[str, Array])


def fresh_state(params: Params, training: TrainingSpec) -> State:
    """Return the state before the first update: its slots are zeros, and plain SGD has none."""
    names = SLOTS[training.optimizer]
    if training.optimizer == "sgd" and not training.numbers["momentum"].any():
        names = ()
    slots = {slot: {name: np.zeros_like(p) for name, p in params.items()} for slot in names}
    return State(params, slots, 0)


def params_writer(params: Params) -> Callable[[Path], None]:
    """Return a function that writes weights to a path, under their canonical names."""
    return partial(_save, arrays=params, header={})


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint durably."""
    header = {"step": str(checkpoint.state.step), "epoch": str(checkpoint.epoch)}
    arrays = _arrays(checkpoint.state)
    if checkpoint.best is not None:
        header["best_step"] = str(checkpoint.best.step)
        arrays |= {f"best/{key}": value for key, value in _arrays(checkpoint.best).items()}
    arrays |= {f"stopping/{key}": value for key, value in checkpoint.stopping.items()}
    write_file(path, partial(_save, arrays=arrays, header=header))


def array_types(path: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return the type, such as `F32`, and the shape of each array of a safetensors file.

    No more than its header is read.
    """
    opened: Any = safe_open(path, framework="numpy")  # a class of Rust, without types
    with opened as file:
        slices = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118
        return {key: (part.get_dtype(), tuple(part.get_shape())) for key, part in slices.items()}


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a file of `save_checkpoint`."""
    opened: Any = safe_open(path, framework="numpy")  # a class of Rust, without types
    with opened as file:
        header: dict[str, str] = file.metadata()
        arrays: Params = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    best = _below("best/", arrays)
    return Checkpoint(
        state=_state(arrays, int(header["step"])),
        epoch=int(header["epoch"]),
        best=_state(best, int(header["best_step"])) if best else None,
        stopping=_below("stopping/", arrays),
    )


class Checkpoints:
    """A context manager that writes a run's checkpoints.

    It writes one every `every` epochs (0: none of these), and the last whole epoch's one however
    training ends. For this each epoch leaves a copy of its state in memory: a stop may come while a
    backend is in the middle of an update. The copy takes less time than the validation loss.

    Of those written the last `newest` stay, and the one with the lowest loss; the others are
    removed once a newer one is on the disk. With None all stay. `begun` is the checkpoint from
    which training resumes.
    """

    def __init__(
        self, record: Recorder, every: int, newest: int | None, begun: Checkpoint | None
    ) -> None:
        self._record, self._every, self._newest = record, every, newest
        self._last, self._loss = begun, np.inf
        self._losses: dict[str, float] = {}  # of those written and not removed, first to last

    def __enter__(self) -> Self:
        return self

    def keep(self, checkpoint: Checkpoint, loss: float) -> None:
        """Take the checkpoint of an epoch that is done, and its loss; write it if it is due."""
        self._last, self._loss = checkpoint, loss
        if self._every and checkpoint.epoch % self._every == 0:
            self._write(checkpoint)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._last is not None:
            with signals.deferred():
                path = self._write(self._last)
            self._record.file(path)

    def _write(self, checkpoint: Checkpoint) -> str:
        """Write a checkpoint unless it is written, and return its path."""
        path = f"{CHECKPOINTS}/epoch-{checkpoint.epoch:05d}.safetensors"
        if path not in self._losses:
            self._record.sync()  # the curve must not end before its checkpoint
            save_checkpoint(self._record.directory / path, checkpoint)
            self._record.checkpoint(path, checkpoint.epoch)
            self._losses[path] = self._loss
            self._remove_old()
        return path

    def _remove_old(self) -> None:
        """Remove all checkpoints but the best and the newest ones; only this run's are known."""
        if self._newest is None:
            return
        best = min(self._losses, key=self._losses.__getitem__)
        for path in list(self._losses)[: -self._newest]:
            if path != best:
                with suppress(OSError):
                    (self._record.directory / path).unlink()
                del self._losses[path]


def _arrays(state: State) -> Params:
    arrays = {f"params/{name}": p for name, p in state.params.items()}
    for slot, values in state.slots.items():
        arrays |= {f"slots/{slot}/{name}": value for name, value in values.items()}
    return arrays


def _state(arrays: Params, step: int) -> State:
    state = State(_below("params/", arrays), {}, step)
    for key, value in _below("slots/", arrays).items():
        slot, _, name = key.partition("/")
        state.slots.setdefault(slot, {})[name] = value
    return state


def _below(prefix: str, arrays: Params) -> Params:
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def _save(path: Path, arrays: Params, header: dict[str, str]) -> None:
    contiguous = {name: np.ascontiguousarray(value) for name, value in arrays.items()}
    save_file(contiguous, path, metadata=header)
