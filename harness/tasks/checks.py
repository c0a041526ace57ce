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


def checked(task: Task, method: str, given: object) -> Samples:
    """Return the samples that `method` gave, in float64 and with zeros at padding.

    `method` is `"draw()"` or `"probes()"`; the latter may give any number of samples, also without
    a mask. Raises `ConfigError`.
    """
    who = f"task={task.name}: {method} gave"
    if not isinstance(given, Samples):
        raise ConfigError(f"{who} {_kind(given)}; it must give harness.tasks.Samples(x, y).")
    x, y = (_as_float64(f"{who} {name}", getattr(given, name)) for name in ("x", "y"))
    every, drawn = task.every_step, method == "draw()"
    count = task.samples if drawn else len(x)
    n = task.samples if drawn else "N"
    ranks = (x.ndim, y.ndim) == (3, 3 if every else 2)
    lengths = {len(x), len(y)} == {count} and (not every or y.shape[1] == x.shape[1])
    if not ranks or not lengths or 0 in x.shape + y.shape:
        raise ConfigError(
            f"{who} x {x.shape} and y {y.shape}; it must give x ({n}, T, F) and y "
            f"({n}, {'T, O' if every else 'O'}), and none of them empty."
        )
    if given.mask is not None or (task.lengths is not None and drawn):
        _check_mask(task, who, given.mask, x.shape[:2])
    if given.span is not None:
        _check_span(who, given.span, len(x))
    return replace(given, x=pad(x, given.mask), y=pad(y, given.mask) if every else y)


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
    for name, axis, what in (("x", 2, "features"), ("y", -1, "outputs")):
        wanted, given = (getattr(s, name).shape[axis] for s in (drawn, probes))
        if given != wanted:
            raise ConfigError(
                f"task={task.name}: probes() gave {name} with {given} {what}; draw() has {wanted}."
            )


def without_targets(samples: Samples) -> bool:
    """Return whether the samples have no target: every one at a real step is NaN."""
    every_step = samples.mask is not None and samples.y.ndim == 3
    return bool(np.isnan(samples.y[samples.mask] if every_step else samples.y).all())


def _is_array(given: object) -> TypeGuard[Array]:
    return isinstance(given, np.ndarray)


def _is_whole(given: object) -> TypeGuard[Array]:
    return _is_array(given) and given.dtype.kind in "iu"


def _kind(given: object) -> str:
    """Return the type of `given` in words: `an array of complex128`, or `a list`."""
    if _is_array(given) and type(given) is np.ndarray:
        return f"an array of {given.dtype}"
    return "None" if given is None else f"a {type(given).__name__}"


def _as_float64(what: str, given: object) -> Array:
    """Return a C-ordered copy: a sum's last bit depends on the order in memory."""
    masked = isinstance(given, np.ma.MaskedArray)  # the values under its mask would be used
    if not _is_array(given) or masked or given.dtype.kind not in REAL:
        raise ConfigError(f"{what} as {_kind(given)}; it must be a NumPy array of real numbers.")
    return np.array(given, np.float64, order="C")


def _check_mask(task: Task, who: str, mask: object, shape: tuple[int, int]) -> None:
    if mask is None:
        raise ConfigError(
            f"task.lengths={task.lengths}: task={task.name} does not know lengths, since its "
            "draw() gives no mask; use null."
        )
    if not _is_array(mask):
        raise ConfigError(f"{who} the mask as {_kind(mask)}; it must be a NumPy array of bool.")
    if mask.shape != shape or mask.dtype != bool or not mask.any(axis=1).all():
        raise ConfigError(
            f"{who} a mask {mask.shape} of {mask.dtype}; it must be {shape} of bool, with a real "
            "step in every sample."
        )


def _check_span(who: str, span: object, samples: int) -> None:
    if not _is_whole(span) or span.shape != (samples, 2) or (span[:, 0] > span[:, 1]).any():
        form = f"{span.shape} of {span.dtype}" if _is_array(span) else _kind(span)
        raise ConfigError(
            f"{who} the span {form}; it must be ({samples}, 2) whole numbers, each sample's first "
            "and last position in the series."
        )
