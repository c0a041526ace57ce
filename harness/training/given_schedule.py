"""The order of the samples and the learning rates of a training, from files instead of drawn.

    trainer.order           whole numbers (E, S, B): the samples of each batch of each epoch, from 0
    trainer.learning_rates  numbers (S,): the rate of each step, all epochs in a row

In the order, -1 fills up a batch of fewer samples, and an epoch of fewer batches. So it can be that
of any training: with or without a short last batch, with samples drawn twice, or ended within an
epoch. Both are `.npy` files as `numpy.save` writes.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from harness.config.schema import Config, TrainerConfig
from harness.core.arrays import Array
from harness.core.errors import ConfigError, first_line
from harness.system.npy_file import read_npy

CLOSE = 1e-6  # relative: a rate that was typed, and the same in float32


def read_order(settings: TrainerConfig, samples: int) -> Array | None:
    """Return the order of `trainer.order`, int array `(E, S, B)`; None where none is given.

    Raises `ConfigError` for a file that is no order of the epochs and of so many samples.
    """
    path = settings.order
    if path is None:
        return None
    key = f"trainer.order={path}"
    order = _read(key, path, "i", ("E", "S", "B")).astype(np.int64)
    epochs, _, size = order.shape
    if settings.epochs > epochs:
        raise ConfigError(
            f"{key}: has {epochs} epochs; set trainer.epochs={epochs}, not {settings.epochs}, or "
            "trainer.order=null."
        )
    if settings.batch_size != size:
        raise ConfigError(
            f"{key}: has batches of up to {size} samples; set trainer.batch_size={size}, not "
            f"{settings.batch_size}."
        )
    _check_samples(key, order, samples)
    return order


def _check_samples(key: str, order: Array, samples: int) -> None:
    if order.max() >= samples:
        raise ConfigError(
            f"{key}: has sample {order.max()}; the training split has {samples} samples, numbered "
            "from 0: task.val_fraction and task.test_fraction take the others."
        )
    filled = order >= 0
    gaps = ((filled[..., 1:] > filled[..., :-1]).any(axis=(1, 2))) | (
        (filled[:, 1:, 0] > filled[:, :-1, 0]).any(axis=1)
    )
    wrong = (order < -1).any(axis=(1, 2)) | gaps | ~filled[:, 0, 0]
    if wrong.any():
        raise ConfigError(
            f"{key}: epoch {int(np.argmax(wrong)) + 1} is no order: a batch has numbers from 0 on, "
            "then -1 alone, and an epoch batches with samples, then empty ones alone."
        )


def batches_of(rows: Array, replicas: int) -> Iterator[Array]:
    """Yield the batches `(S, R, B)` of an epoch `(S, B)`, consecutive ones of one size together."""
    sizes = (rows >= 0).sum(axis=1)
    rows, sizes = rows[sizes > 0], sizes[sizes > 0]
    for part in np.split(np.arange(len(rows)), np.flatnonzero(np.diff(sizes)) + 1):
        yield np.repeat(rows[part, None, : sizes[part[0]]], replicas, axis=1)


def read_rates(config: Config, steps: int) -> Array | None:
    """Return the rates of `trainer.learning_rates`, `(S,)`; None where none are given.

    Raises `ConfigError` for a file that has no rates for so many steps, or other ones than
    `optimizer.lr`, which is their largest.
    """
    path = config.trainer.learning_rates
    if path is None:
        return None
    key = f"trainer.learning_rates={path}"
    rates = _read(key, path, "f", ("S",)).astype(np.float64)
    if len(rates) < steps:
        raise ConfigError(
            f"{key}: has the rates of {len(rates)} steps; {config.trainer.epochs} epochs have "
            f"{steps}: lower trainer.epochs, or set trainer.learning_rates=null."
        )
    if rates.min() < 0:
        raise ConfigError(f"{key}: has the rate {rates.min():g}; each must be at least 0.")
    if abs(config.optimizer.lr - rates.max()) > CLOSE * rates.max():
        raise ConfigError(
            f"{key}: has rates up to {rates.max():g}; set optimizer.lr={rates.max():g}, not "
            f"{config.optimizer.lr:g}, or trainer.learning_rates=null."
        )
    return rates


def _read(key: str, path: str, kinds: str, axes: tuple[str, ...]) -> Array:
    """Read an array of these axes, none of them empty. Raises `ConfigError`."""
    try:
        array = read_npy(Path(path), kinds)
    except OSError as error:
        raise ConfigError(
            f"{key}: cannot be read ({error.strerror or first_line(error)}); name a .npy file."
        ) from error
    except Exception as error:  # what a damaged header makes NumPy raise
        raise ConfigError(f"{key}: {first_line(error)}; write it by numpy.save.") from error
    if array.ndim != len(axes) or not array.size:
        wanted = ", ".join(axes) + ("," if len(axes) == 1 else "")
        raise ConfigError(f"{key}: has shape {array.shape}; it must be ({wanted}).")
    return array
