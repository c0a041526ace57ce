"""Record what a training program of your own does, by one line in it; see docs/recording.md.

Nothing here imports a framework until the function for it is called, and nothing that is recorded
changes what is trained.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.core.errors import check_package

if TYPE_CHECKING:
    from harness.recorder.jax_step import RecordedStep
    from harness.recorder.keras_callback import KerasRecorder
    from harness.recorder.torch_hooks import TorchRecorder


def keras(folder: str | Path) -> KerasRecorder:
    """Return a callback for `model.fit(x, y, callbacks=[…])`, which records one `fit`.

    Raises `ConfigError` unless `folder` is new or empty.
    """
    check_package("recorder.keras", "keras", "keras")
    from harness.recorder.keras_callback import KerasRecorder

    return KerasRecorder(folder)


def torch(
    folder: str | Path, model: Any, optimizer: Any, loss_fn: Callable[..., Any], batch_axis: int = 0
) -> TorchRecorder:
    """Return a context manager that records each step of `optimizer` in its block.

    `loss_fn(prediction, target)` is a module such as `torch.nn.MSELoss()`. If it is a plain
    function, the program has to call the context's `record.loss_fn` in its place. `batch_axis` is
    the axis of the samples in what the model is called with: 1 for (T, N, F). Raises `ConfigError`
    unless `folder` is new or empty.
    """
    check_package("recorder.torch", "torch", "torch")
    from harness.recorder.torch_hooks import TorchRecorder

    return TorchRecorder(folder, model, optimizer, loss_fn, batch_axis)


def jax(
    folder: str | Path,
    step: Callable[..., Any],
    *,
    params: Any,
    takes: Sequence[str] = ("params", "opt_state", "x", "y"),
    returns: Sequence[str] = ("params", "opt_state", "loss"),
    learning_rate: float | Callable[[int], Any] | None = None,
    stated: dict[str, Any] | None = None,
) -> RecordedStep:
    """Return a training step that does what `step` does, and records its calls.

    `takes` and `returns` name what `step` takes and returns, in order: `x`, `y`, `sample_weight`
    and `loss` are recorded, other names are not looked at. `params` are the initial weights.
    `learning_rate` is a number, or a schedule of optax, which is called with the number of the
    step, from 0: optax shows neither of them, and without it none is recorded. `stated` is what you
    say of the rules, such as `{"optimizer": "optax.adam(1e-3)"}`. The recording is written at the
    end of `with … as step:`, by `step.close()`, or when the program ends. Raises `ConfigError`
    unless `folder` is new or empty.
    """
    check_package("recorder.jax", "jax", "jax", "jax")
    from harness.recorder.jax_step import RecordedStep

    return RecordedStep(folder, step, params, takes, returns, learning_rate, stated or {})
