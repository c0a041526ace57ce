"""Check the types and shapes of the samples that a task returns.

A user's own task may return anything. An error says what was wrong and what the task must return.
The values are checked split by split in `harness/training/data_checks.py`. Numbers of any real type
become float64 in one memory layout, so that equal values give equal runs to the last bit.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeGuard

import numpy as np

from harness.core.arrays import Array
from harness.core.errors import ConfigError
from harness.tasks.base import Samples, Task
from harness.tasks.lengths import pad

REAL = "biuf"  # NumPy's kinds of dtype: boolean, integer, unsigned, floating


def checked(task: Task, method: str, returned: object) -> Samples:
    """Return the samples that `method` gave, in float64 and with zeros at padding.

    `method` is `"draw()"` or `"probes()"`; the latter may give any number of samples, also without
    a mask. Raises `ConfigError`.
    """
    subject = f"task={task.name}: {method} gave"
    if not isinstance(returned, Samples):
        raise ConfigError(f"{subject} {_kind(returned)}; it must give harness.tasks.Samples(x, y).")
    x, y = (_as_float64(f"{subject} {name}", getattr(returned, name)) for name in ("x", "y"))
    every_step, drawn = task.every_step, method == "draw()"
    count = task.samples if drawn else len(x)
    count_name = task.samples if drawn else "N"
    ranks = (x.ndim, y.ndim) == (3, 3 if every_step else 2)
    lengths = {len(x), len(y)} == {count} and (not every_step or y.shape[1] == x.shape[1])
    if not ranks or not lengths or 0 in x.shape + y.shape:
        raise ConfigError(
            f"{subject} x {x.shape} and y {y.shape}; it must give x ({count_name}, T, F) and y "
            f"({count_name}, {'T, O' if every_step else 'O'}), and none of them empty."
        )
    if returned.mask is not None or (task.lengths is not None and drawn):
        _check_mask(task, subject, returned.mask, x.shape[:2])
    if returned.span is not None:
        _check_span(subject, returned.span, len(x))
    return replace(returned, x=pad(x, returned.mask), y=pad(y, returned.mask) if every_step else y)


def check_alike(task: Task, seeds: Sequence[int], drawn: Sequence[Samples]) -> None:
    """Raise `ConfigError` if shapes or spans of the samples depend on the seed.

    All replicas have one network, and their splits have the same borders.
    """
    for seed, samples in zip(seeds[1:], drawn[1:], strict=True):
        for name in ("x", "y", "span"):
            expected, shape = (np.shape(getattr(s, name)) for s in (drawn[0], samples))
            if shape != expected:
                raise ConfigError(
                    f"task={task.name}: draw() gave {name} {expected} with seed {seeds[0]} and "
                    f"{shape} with seed {seed}; it must not depend on the seed."
                )
        if not np.array_equal(np.array(drawn[0].span), np.array(samples.span)):
            raise ConfigError(
                f"task={task.name}: draw() gave another span with seed {seeds[0]} than with seed "
                f"{seed}; it must not depend on the seed."
            )


def check_probes(task: Task, drawn: Samples, probes: Samples) -> None:
    """Raise `ConfigError` if probes do not fit the network: NumPy would repeat a single feature."""
    for name, axis, noun in (("x", 2, "features"), ("y", -1, "outputs")):
        expected, actual = (getattr(s, name).shape[axis] for s in (drawn, probes))
        if actual != expected:
            raise ConfigError(
                f"task={task.name}: probes() gave {name} with {actual} {noun}; draw() has "
                f"{expected}."
            )


def without_targets(samples: Samples) -> bool:
    """Return whether the samples have no target: every one at a real step is NaN."""
    every_step = samples.mask is not None and samples.y.ndim == 3
    return bool(np.isnan(samples.y[samples.mask] if every_step else samples.y).all())


def _is_array(given: object) -> TypeGuard[Array]:
    return isinstance(given, np.ndarray)


def _is_whole(given: object) -> TypeGuard[Array]:
    return _is_array(given) and given.dtype.kind in "iu"


def _kind(value: object) -> str:
    """Return the type of a value in words: `an array of complex128`, or `a list`."""
    if _is_array(value) and type(value) is np.ndarray:
        return f"an array of {value.dtype}"
    return "None" if value is None else f"a {type(value).__name__}"


def _as_float64(name: str, array: object) -> Array:
    """Return a C-ordered copy: a sum's last bit depends on the order in memory."""
    masked = isinstance(array, np.ma.MaskedArray)  # the values under its mask would be used
    if not _is_array(array) or masked or array.dtype.kind not in REAL:
        raise ConfigError(f"{name} as {_kind(array)}; it must be a NumPy array of real numbers.")
    return np.array(array, np.float64, order="C")


def _check_mask(task: Task, subject: str, mask: object, shape: tuple[int, int]) -> None:
    if mask is None:
        raise ConfigError(
            f"task.lengths={task.lengths}: task={task.name} does not know lengths, since its "
            "draw() gives no mask; use null."
        )
    if not _is_array(mask):
        raise ConfigError(f"{subject} the mask as {_kind(mask)}; it must be a NumPy array of bool.")
    if mask.shape != shape or mask.dtype != bool or not mask.any(axis=1).all():
        raise ConfigError(
            f"{subject} a mask {mask.shape} of {mask.dtype}; it must be {shape} of bool, with a "
            "real step in every sample."
        )


def _check_span(subject: str, span: object, samples: int) -> None:
    if not _is_whole(span) or span.shape != (samples, 2) or (span[:, 0] > span[:, 1]).any():
        form = f"{span.shape} of {span.dtype}" if _is_array(span) else _kind(span)
        raise ConfigError(
            f"{subject} the span {form}; it must be ({samples}, 2) whole numbers, each sample's "
            "first and last position in the series."
        )
