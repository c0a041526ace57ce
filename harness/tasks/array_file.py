"""Your own data: inputs and targets from a file of NumPy arrays.

The file is a `.npz` as `numpy.savez` writes, without pickled objects:

    x     (N, T, F), or (N, T) with one feature
    y     (N, O), (N,) with one output, or (N, T, O) with targets at every step
    mask  (N, T), bool, False at padding; may be left out

Splits are cut in the order of the samples, training first.
"""

import zipfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from harness.core.arrays import Array
from harness.core.errors import ConfigError, first_line
from harness.core.losses import check_loss
from harness.system.npz_header import array_header
from harness.tasks.base import Samples, Task
from harness.tasks.lengths import Rng

NAMES = ("x", "y", "mask")


@dataclass(frozen=True, kw_only=True)
class ArrayFile(Task):
    """Samples from a file; no seed changes them."""

    reads_files = True

    path: str
    samples: int | None  # pyright: ignore[reportIncompatibleVariableOverride]  # null: all
    loss: str  # pyright: ignore[reportIncompatibleVariableOverride]

    def __post_init__(self) -> None:
        """Read the file, whose shapes decide what kind of task it is. Raises `ConfigError`."""
        check_loss(self.loss, "task.")
        for key in ("seed", "legacy_seed", "lengths"):
            if getattr(self, key) is not None:
                raise ConfigError(
                    f"task.{key}={getattr(self, key)}: must be null: the file has the data, and "
                    "nothing is drawn."
                )
        arrays = self._read()
        count = len(arrays["x"])
        wanted = count if self.samples is None else self.samples
        object.__setattr__(self, "samples", wanted)
        super().__post_init__()
        if wanted > count:
            raise ConfigError(f"task.samples={self.samples}: {self.path} has {count}; or null.")
        object.__setattr__(self, "every_step", arrays["y"].ndim == 3)

    def draw(self, rng: Rng) -> Samples:  # noqa: ARG002  # nothing is random
        """Return the first `samples` samples: `x` `(N, T, F)`, `y` `(N, O)` or `(N, T, O)`."""
        rows = {name: values[: self.samples] for name, values in self._read().items()}
        return Samples(rows["x"], rows["y"], mask=rows.get("mask"))

    def _read(self) -> dict[str, Array]:
        path = Path(self.path)
        try:
            state = path.stat()
            return _arrays(path.absolute(), state.st_mtime_ns, state.st_size)
        except OSError as error:
            raise ConfigError(
                f"task.path={self.path}: cannot be read ({error.strerror or error}); name a .npz "
                "file with the arrays x and y."
            ) from error
        except ValueError as error:
            raise ConfigError(f"task.path={self.path}: {first_line(error)}.") from error


@lru_cache(maxsize=4)
def _arrays(path: Path, _modified: int, _size: int) -> dict[str, Array]:
    """Return the arrays of a file, all with their full number of axes.

    Raises `ValueError`. The cache serves the replicas and the jobs of a sweep.
    """
    arrays = _stored(path)
    if missing := {"x", "y"} - arrays.keys():
        raise ValueError(f"has no array {min(missing)}; save it with numpy.savez(path, x=…, y=…)")
    x, y = arrays["x"], arrays["y"]
    arrays["x"] = x[..., None] if x.ndim == 2 else x
    arrays["y"] = y[:, None] if y.ndim == 1 else y
    shapes = ", ".join(f"{name} {values.shape}" for name, values in arrays.items())
    ranks = arrays["x"].ndim == 3 and arrays["y"].ndim in (2, 3)
    if not ranks or {len(values) for values in arrays.values()} != {len(x)} or not len(x):
        raise ValueError(
            f"has {shapes}; it must have x (N, T, F) and y (N, O) or (N, T, O), with N at least 1"
        )
    return arrays


def _stored(path: Path) -> dict[str, Array]:
    """Read the arrays, whose headers are checked first. Raises `ValueError`."""
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                array_header(archive, entry)
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in NAMES if name in file.files}
    except OSError:
        raise
    except Exception as error:  # what a damaged archive makes zipfile, zlib and NumPy raise
        raise ValueError(first_line(error)) from error
