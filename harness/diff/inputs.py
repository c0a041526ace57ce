"""The inputs on which two networks are compared: random ones, or the user's from a file.

    .npy   (N, T, F), or (N, T) with one feature; a step of NaN is no step
    .csv   a sequence a line, T·F numbers, step after step; lines may have different lengths

Sequences of several lengths are padded behind, where states stay as they are.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.core.arrays import Array
from harness.core.errors import ConfigError, first_line
from harness.core.random_streams import stream
from harness.formats.trained_network import Network
from harness.system.physical_memory import physical_memory

SEQUENCES, STEPS = 2, 12  # of each scale of random inputs
SCALES = (1.0, 3.0)  # of the data's deviation: most of its range, and all of it


@dataclass(frozen=True)
class Inputs:
    """Sequences `x` `(N, T, F)` in float64, and which steps are real: `mask` `(N, T)`, bool."""

    x: Array
    mask: Array

    @property
    def several_lengths(self) -> bool:
        """Whether some steps are padding."""
        return not self.mask.all()

    def padded(self, where: str, extra: int) -> "Inputs":
        """Return the sequences with zeros in `front` or `behind`, which count as real steps.

        They are `extra` steps longer than the longest.
        """
        N, T, F = self.x.shape
        x = np.zeros((N, T + extra, F))
        for n, real in enumerate(self.mask):
            values = self.x[n, real]
            first = T + extra - len(values) if where == "front" else 0
            x[n, first : first + len(values)] = values
        return Inputs(x, np.ones(x.shape[:2], bool))


def random_inputs(networks: Sequence[Network]) -> Inputs:
    """Draw sequences of unit scale, and of the scales of the data that each network was trained on.

    Numbers are those that float32 has, so that every program can take them.
    """
    rng, features = stream(0, "diff inputs"), networks[0].model.features
    shape = (SEQUENCES, STEPS, features)
    drawn = [rng.normal(size=shape)]
    for network in networks:
        for scale in SCALES:
            drawn.append(network.x_mean + scale * network.x_std * rng.normal(size=shape))
    x = np.concatenate(drawn).astype(np.float32).astype(np.float64)
    return Inputs(x, np.ones(x.shape[:2], bool))


def read_inputs(path: Path, features: int) -> Inputs:
    """Read the user's inputs. Raises `ConfigError`."""
    key = f"--input {path}"
    values = _lines(key, path, features) if path.suffix == ".csv" else read_array(key, path)
    values = values[..., None] if values.ndim == 2 else values
    if values.ndim != 3 or not values.size or values.shape[2] != features:
        raise ConfigError(
            f"{key}: has the shape {values.shape}; it must be (N, T, {features}), N sequences of T "
            f"steps, N and T at least 1."
        )
    mask = np.array(~np.isnan(values).all(axis=2))
    x = np.where(mask[..., None], values, 0.0)
    if not np.isfinite(x).all():
        raise ConfigError(f"{key}: has numbers that are not finite; only a whole step may be NaN.")
    if not mask.any(axis=1).all():
        raise ConfigError(f"{key}: sequence {int(np.argmin(mask.any(axis=1)))} has no step.")
    if (mask[:, 1:] & ~mask[:, :-1]).any():
        raise ConfigError(f"{key}: steps of NaN must be behind a sequence's real steps.")
    return Inputs(x, mask)


def read_array(key: str, path: Path) -> Array:
    """Read numbers from a `.npy` file, in float64; `key` begins messages. Raises `ConfigError`."""
    try:
        if path.suffix != ".npy":
            raise ValueError("its name must end in .npy or .csv")
        values = np.load(path, mmap_mode="r", allow_pickle=False)  # takes no memory yet
        if values.dtype.kind not in "fiu" or 8 * values.size > physical_memory():
            raise ValueError(f"holds {values.shape} of {values.dtype}; it must hold numbers")
        return np.array(values, np.float64)
    except (OSError, ValueError, EOFError) as error:
        raise ConfigError(f"{key}: cannot be read ({first_line(error)}).") from error


def _lines(key: str, path: Path, features: int) -> Array:
    """Read the lines of a `.csv` file, padded with NaN to the longest: `(N, T, F)`."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [[float(word) for word in row if word.strip()] for row in csv.reader(file)]
    except (OSError, ValueError, csv.Error) as error:
        raise ConfigError(f"{key}: cannot be read ({first_line(error)}).") from error
    rows = [row for row in rows if row]
    for number, row in enumerate(rows, 1):
        if len(row) % features:
            raise ConfigError(
                f"{key}: sequence {number} has {len(row)} numbers; a step has {features}."
            )
    longest = max(map(len, rows), default=0)
    values = np.full((len(rows), longest), np.nan)
    for n, row in enumerate(rows):
        values[n, : len(row)] = row
    return values.reshape(len(rows), longest // features, features)
