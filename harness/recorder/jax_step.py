"""JAX: a training step that does what the program's own does, and records what goes in and out."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import jax
import jax.core
import numpy as np

from harness.core.arrays import Array
from harness.core.errors import ConfigError
from harness.recorder.rows import as_numpy
from harness.recorder.writer import Writer

SAMPLES = ("x", "y", "sample_weight")


class RecordedStep:
    """The step; also a context, at whose end the recording is written."""

    def __init__(
        self,
        folder: str | Path,
        step: Callable[..., Any],
        params: Any,
        takes: Sequence[str],
        returns: Sequence[str],
        learning_rate: float | Callable[[int], Any] | None,
        stated: dict[str, Any],
    ) -> None:
        _check_names(takes, returns)
        _check_rate(learning_rate)
        writer = Writer(folder, "jax", ["jax", "jaxlib", "optax", "flax", "equinox"])
        writer.initial = _by_name(params)
        writer.stated = {"takes": takes, "returns": returns, **stated}
        writer.stated |= {"device": str(jax.devices()[0]), "x64": jax.config.read("jax_enable_x64")}
        if not stated:
            writer.note("the step's rules are not stated: JAX's functions do not show them")
        self._writer, self._step, self._takes, self._returns = writer, step, takes, returns
        self._learning_rate, self._count = learning_rate, 0
        self.close = weakref.finalize(self, writer.write)  # at the latest when the program ends

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the step, and record its batch and its loss."""
        given = dict(zip(self._takes, args, strict=False)) | kwargs
        samples = {n: given[n] for n in SAMPLES if given.get(n) is not None}
        leaves = jax.tree_util.tree_leaves(samples)
        if any(isinstance(leaf, jax.core.Tracer) for leaf in leaves):
            self._writer.note("the step is called inside jit or scan: wrap what is called outside")
            return self._step(*args, **kwargs)
        batches = self._numbers(samples)
        result = self._step(*args, **kwargs)
        returned = (result,) if len(self._returns) == 1 else result
        loss = np.asarray(dict(zip(self._returns, returned, strict=False))["loss"])
        if loss.size != 1:
            self._writer.note(f"the loss has shape {loss.shape}; its mean was recorded")
        rates = self._rates()
        self._writer.add_step(
            losses=float(loss.mean(dtype=float)), batches=batches, learning_rates=rates
        )
        return result

    def __enter__(self) -> RecordedStep:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _rates(self) -> list[float] | None:
        """Return the learning rate of the step that was just done, as the only group's."""
        rate, number = self._learning_rate, self._count
        self._count += 1
        if rate is None:
            return None
        return [float(rate(jax.numpy.int32(number)) if callable(rate) else rate)]  # as optax counts

    def _numbers(self, samples: dict[str, Any]) -> list[int] | None:
        if any(not hasattr(values, "shape") or not np.ndim(values) for values in samples.values()):
            self._writer.note("x or y is no single array with an axis of samples")
            return None
        arrays = {name: np.asarray(values) for name, values in samples.items()}
        if len({len(values) for values in arrays.values()}) != 1:
            shapes = ", ".join(f"{name} {values.shape}" for name, values in arrays.items())
            self._writer.note(f"the samples are not along the first axis of each: {shapes}")
            return None
        return self._writer.rows.add(arrays)


def _check_names(takes: Sequence[str], returns: Sequence[str]) -> None:
    if "x" not in takes or "loss" not in returns:
        raise ConfigError(
            f"recorder.jax: takes={tuple(takes)}, returns={tuple(returns)}: takes must have x, and "
            'returns loss, as in takes=("params", "x", "y"), returns=("params", "loss").'
        )


def _check_rate(rate: Any) -> None:
    try:
        valid = rate is None or callable(rate) or np.isfinite(float(rate))
    except (TypeError, ValueError):
        valid = False
    if not valid:
        raise ConfigError(
            f"recorder.jax: learning_rate={rate!r}: must be a number, or a schedule of optax."
        )


def _by_name(params: Any) -> dict[str, Array]:
    """Return copies of a tree's arrays of numbers by their paths, such as `rnn/kernel`."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(params)
    return {
        _name(path): as_numpy(leaf).copy()
        for path, leaf in leaves
        if hasattr(leaf, "dtype") and jax.numpy.issubdtype(leaf.dtype, np.number)
    }


def _name(path: tuple[Any, ...]) -> str:
    """Return a path as text, without the `value` in which Flax' nnx wraps each array."""
    wrapped = len(path) > 1 and path[-1] == jax.tree_util.GetAttrKey("value")
    return jax.tree_util.keystr(path[:-1] if wrapped else path, simple=True, separator="/")
