"""A file of named arrays, whatever its format: names, types and shapes, and arrays on demand.

No array takes more memory than its file has bytes, except of a compressed `.npz`, whose arrays must
fit into the machine's memory.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.core.arrays import Array
from harness.core.errors import ConfigError, first_line
from harness.core.model import Shape

REMEDY = "write it anew, or choose another file"
FLOATS = ("float16", "bfloat16", "float32", "float64")


@dataclass(frozen=True, kw_only=True)
class TensorFile:
    """What a file holds, and how one of its arrays is read."""

    path: Path
    format: str  # safetensors, npz, torch or msgpack
    types: dict[str, tuple[str, Shape]]  # name -> NumPy's name of the type, and the shape
    load: Callable[[str], Array]
    inside: str = ""  # the key below which a file of torch.save has its state_dict

    @property
    def shapes(self) -> dict[str, Shape]:
        """The shape of each array."""
        return {name: shape for name, (_, shape) in self.types.items()}

    def check_shape(self, name: str, shape: Shape) -> None:
        """Raise `ConfigError` unless the file has an array of that name and shape."""
        if name not in self.types:
            raise ConfigError(f"{self.path}: {name} is missing; {REMEDY}.")
        if self.shapes[name] != shape:
            raise ConfigError(
                f"{self.path}: {name} is {self.shapes[name]}; with its other arrays it must be "
                f"{shape}: {REMEDY}."
            )

    def matrix(self, name: str) -> tuple[int, int]:
        """Return the sizes of an array of two axes; raise `ConfigError` for any other."""
        shape = self.shapes.get(name, ())
        if name in self.types and (len(shape) != 2 or 0 in shape):
            raise ConfigError(f"{self.path}: {name} is {shape}; it must have two axes: {REMEDY}.")
        self.check_shape(name, shape)
        return shape[0], shape[1]

    def array(self, name: str, precision: str) -> Array:
        """Read one array of finite numbers; raise `ConfigError` where it is anything else."""
        kind, _ = self.types[name]
        if kind not in FLOATS:
            raise ConfigError(f"{self.path}: {name} is {kind}; it must be {', '.join(FLOATS)}.")
        with decoding(self.path), np.errstate(over="ignore"):
            values = np.array(self.load(name).astype(precision), order="C")
        if not np.isfinite(values).all():
            raise ConfigError(
                f"{self.path}: {name} has values that are NaN or infinite; choose weights of an "
                "earlier step."
            )
        return values


@contextmanager
def decoding(path: Path) -> Generator[None]:
    """Raise `ConfigError` for whatever a decoder raises at the contents of a damaged file."""
    try:
        yield
    except ConfigError:
        raise
    except Exception as error:  # zlib, zipfile, msgpack and PyTorch each have their own
        raise ConfigError(
            f"{path}: cannot be read ({first_line(error)[:100]}); {REMEDY}."
        ) from error


def numpy_type(name: str) -> np.dtype[Any]:
    """Return NumPy's type of a name; raise `TypeError` for one that it does not have."""
    if name == "bfloat16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(name)
