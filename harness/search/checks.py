"""Checks of a search that need the configuration of a trial."""

import math
from collections.abc import Sequence

from harness.config.schema import Config
from harness.core.errors import ConfigError
from harness.core.losses import gives_logits
from harness.search.pruning_rules import ALPHA, wilcoxon_looks
from harness.search.settings import KEY, Search


def check_recorded(search: Search, config: Config) -> None:
    """Raise `ConfigError` for an objective that no run records."""
    task = config.task
    for name in search.objectives:
        part, _, metric = name.partition("/")
        reason = ""
        if part == "val" and task.val_fraction == 0:
            reason = "without validation data; set task.val_fraction above 0, or use train/loss"
        elif part == "test" and task.test_fraction == 0:
            reason = "without test data; set task.test_fraction above 0"
        elif metric == "accuracy" and not gives_logits(task.loss):
            reason = f"with task.loss={task.loss}, which has no classes; use {part}/loss"
        elif name == "time/per_step_us" and config.trainer.epochs < 2:
            reason = "in fewer than two epochs; raise trainer.epochs"
        elif part == "train" and config.trainer.epochs == 0:
            reason = "with trainer.epochs=0"
        if reason:
            raise ConfigError(f"{KEY}.objectives={name}: no run records it {reason}.")


def check_comparable(search: Search, config: Config, varying: Sequence[str]) -> None:
    """Raise `ConfigError` where trials cannot be compared as the pruner does it."""
    if search.pruner == "none":
        return
    shared = ("trainer.epochs", *(("seed", "replicas") if search.pruner == "wilcoxon" else ()))
    for key in varying:
        if key in shared:
            raise ConfigError(
                f"{key}: must be the same in all trials with {KEY}.pruner={search.pruner}, which "
                "compares them at equal epochs and seeds; or use pruner=none."
            )
    replicas, epochs = config.replicas, config.trainer.epochs
    looks = max(1, wilcoxon_looks(search.interval(epochs), epochs))
    needed = math.floor(math.log2(looks / ALPHA)) + 1  # p is at least 2^-R
    if search.pruner == "wilcoxon" and replicas < needed:
        raise ConfigError(
            f"replicas={replicas}: {KEY}.pruner=wilcoxon needs replicas={needed} or more: with "
            f"fewer no test is significant at {ALPHA}/{looks}, for {looks} looks at each trial."
        )
