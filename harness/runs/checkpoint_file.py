"""Read a checkpoint of a recorded run, once it is known to be the one that the run needs."""

from pathlib import Path

from backends import State
from harness.config.damaged_files import reading
from harness.core.errors import ConfigError
from harness.core.file_names import CHECKPOINTS
from harness.core.model import Params
from harness.runs.checksums import check_file
from harness.training.checkpoints import Checkpoint, array_types, load_checkpoint

TYPES = {"float32": "F32", "float64": "F64"}  # safetensors' names

ArrayTypes = dict[str, tuple[str, tuple[int, ...]]]


def read_checkpoint(
    folder: Path, name: str, start: State, precision: str, remedy: str
) -> Checkpoint:
    """Read the checkpoint `name` of the run in `folder`, which trained in `precision`.

    Its arrays must be those of `start`, in the same shapes; this is decided by its header, before
    memory is taken for them. Raises `ConfigError` for another network or optimiser, and for a
    damaged file; `remedy` says what the user can do then.
    """
    path = f"{CHECKPOINTS}/{name}.safetensors"
    check_file(folder, path, remedy)
    with reading(folder / path, remedy):
        arrays = array_types(folder / path)
    _check_network(arrays, start)
    with reading(folder / path, remedy):
        _check_whole(arrays, start, TYPES[precision])
        checkpoint = load_checkpoint(folder / path)
        _check_progress(checkpoint, int(name.removeprefix("epoch-")))
    return checkpoint


def _check_network(arrays: ArrayTypes, start: State) -> None:
    """Raise `ConfigError` unless the state in a checkpoint has the arrays of `start`."""
    memory = {key.split("/")[1] for key in arrays if key.startswith("slots/")}
    if memory != set(start.slots):
        has, needs = (", ".join(sorted(slots)) or "none" for slots in (memory, start.slots))
        raise ConfigError(
            f"optimizer: the checkpoint's memory is {has}, but the optimiser needs {needs}; choose "
            "the optimizer and momentum of the run that is resumed."
        )
    for prefix, params in _groups(start).items():
        shapes = {name: value.shape for name, value in params.items()}
        found = {
            key.removeprefix(prefix): shape
            for key, (_, shape) in arrays.items()
            if key.startswith(prefix)
        }
        if found != shapes:
            raise ConfigError(
                f"model: the checkpoint's arrays are {found}, but the network needs {shapes}; "
                "choose the model of the run that is resumed."
            )


def _check_whole(arrays: ArrayTypes, start: State, precision: str) -> None:
    """Raise `ValueError` for an array of another type, and for one that no checkpoint has."""
    state = {
        f"{prefix}{name}": (precision, value.shape)
        for prefix, params in _groups(start).items()
        for name, value in params.items()
    }
    best = {f"best/{key}": kind for key, kind in state.items()}
    stopping = {key: kind for key, kind in arrays.items() if key.startswith("stopping/")}
    with_best = any(key.startswith("best/") for key in arrays)
    if with_best != ({"stopping/loss", "stopping/epoch"} <= stopping.keys()):
        raise ValueError("the best weights or their losses are missing")
    expected = {**state, **(best if with_best else {}), **stopping}
    for key, kind in arrays.items():
        if kind != expected.get(key):
            raise ValueError(f"{key} is {kind}, not {expected.get(key)}")
    if missing := expected.keys() - arrays.keys():
        raise ValueError(f"{min(missing)} is missing")
    replicas = next(iter(start.params.values())).shape[:1]
    for key, (_, shape) in stopping.items():
        if shape != replicas:
            raise ValueError(f"{key} is {shape}, not {replicas}")


def _check_progress(checkpoint: Checkpoint, epoch: int) -> None:
    """Raise `ValueError` for numbers of epochs and steps that no run has."""
    if checkpoint.epoch != epoch:
        raise ValueError(f"its epoch is {checkpoint.epoch}")
    for state in (checkpoint.state, checkpoint.best):
        if state is not None and state.step < 0:
            raise ValueError(f"its step is {state.step}")


def _groups(state: State) -> dict[str, Params]:
    """Return the arrays of a state by the beginning of their names in a checkpoint."""
    return {"params/": state.params, **{f"slots/{k}/": v for k, v in state.slots.items()}}
