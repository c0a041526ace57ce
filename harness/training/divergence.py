"""Losses and metrics that are not finite: which replicas diverged, and what to try against it."""

import numpy as np

from harness.config.schema import Config
from harness.core.arrays import Array
from harness.core.errors import Diverged
from harness.training.splits import Splits


def check_epoch(
    epoch: int, losses: Array, values: dict[str, Array], config: Config, splits: Splits
) -> None:
    """Raise `Diverged` if a step's loss `(S, R)` or a metric of the epoch is not finite."""
    if all(np.isfinite(value).all() for value in (losses, *values.values())):
        return
    numbers = np.concatenate([losses, *(value[None] for value in values.values())])  # (…, R)
    diverged = [config.seeds[r] for r in np.flatnonzero(~np.isfinite(numbers).all(axis=0))]
    seeds = f" (seeds {', '.join(map(str, diverged))})" if config.replicas > 1 else ""
    raise Diverged(f"loss not finite in epoch {epoch}{seeds}: {_likely_cause(config, splits)}")


def check_measured(values: dict[str, Array], config: Config, splits: Splits) -> None:
    """Raise `Diverged` if a metric measured after training, such as test/loss, is not finite.

    With finite weights, a single large input may still overflow.
    """
    names = [name for name, value in values.items() if not np.isfinite(value).all()]
    if names:
        raise Diverged(f"{', '.join(names)} not finite: {_likely_cause(config, splits)}")


def _likely_cause(config: Config, splits: Splits) -> str:
    """Return the likely cause of a loss that is not finite, and the remedy to try first."""
    largest = max(float(np.abs(split.x).max()) for split in splits.parts.values())
    if largest > 10 and config.task.scale == "none":
        return f"inputs reach {largest:g}; try task.scale=standard or a smaller optimizer.lr"
    lr = config.optimizer.lr
    clip = ", or trainer.clip=1" if config.trainer.clip is None else ""
    return f"optimizer.lr={lr:g} is likely too large; try {min(lr / 10, 0.01):g}{clip}"
