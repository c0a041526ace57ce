"""Initial weights from a file, `model.weights=FILE`, instead of drawn ones.

The file is a safetensors file as a run's `weights/final.safetensors`: canonical names, arrays with
a leading replica axis. With an axis of length 1, all replicas start from the same weights.
"""

from pathlib import Path

import numpy as np
from safetensors.numpy import load_file  # pyright: ignore[reportUnknownVariableType]

from harness.config.damaged_files import reading
from harness.core.errors import ConfigError
from harness.core.model import ModelSpec, Params, Shape, shapes
from harness.training.checkpoints import array_types

TYPES = ("F32", "F64")  # safetensors' names
REMEDY = "write it anew, or choose another file"


def weights_in(path: str, model: ModelSpec, replicas: int, precision: str) -> Params:
    """Read the weights of `model` from a file: arrays `(replicas, …)` of `precision`.

    Only the file's header is read before its shapes are known to be right. Raises `ConfigError`.
    """
    key = f"model.weights={path}"
    if not Path(path).is_file():
        raise ConfigError(f"{key}: there is no such file; name a safetensors file of weights.")
    with reading(Path(path), REMEDY):
        types = array_types(Path(path))
    _check_network(key, {name: shape for name, (_, shape) in types.items()}, model, replicas)
    for name, (dtype, _) in types.items():
        if dtype not in TYPES:
            raise ConfigError(f"{key}: {name} is {dtype}; it must be float32 or float64.")
    with reading(Path(path), REMEDY):
        arrays: Params = load_file(path)
    return {name: _fitted(key, name, arrays[name], replicas, precision) for name in shapes(model)}


def _check_network(key: str, stored: dict[str, Shape], model: ModelSpec, replicas: int) -> None:
    """Raise `ConfigError` unless the arrays are those of the network, with a replica axis."""
    wanted = shapes(model)
    for name in [*wanted, *stored]:
        if name not in wanted or name not in stored:
            where = "the file has, and the network has not" if name in stored else "is missing"
            raise ConfigError(
                f"{key}: {name} {where}; it must have {', '.join(wanted)}: choose the model, and "
                "semantics.biases or semantics.gru_biases, that the weights were trained with."
            )
    for name, shape in wanted.items():
        if stored[name] not in ((1, *shape), (replicas, *shape)):
            count = "1" if replicas == 1 else f"1 or {replicas}"
            raise ConfigError(
                f"{key}: {name} is {stored[name]}; with this model, task and number of replicas it "
                f"must be ({count}, {', '.join(map(str, shape))})."
            )


def _fitted(key: str, name: str, values: np.ndarray, replicas: int, precision: str) -> np.ndarray:
    with np.errstate(over="ignore"):  # refused below
        values = values.astype(precision)
    if not np.isfinite(values).all():
        raise ConfigError(f"{key}: {name} has values that {precision} cannot hold, or NaN.")
    return np.repeat(values, replicas, axis=0) if len(values) < replicas else values
