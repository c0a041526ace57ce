"""Decide which runs can be replicas of one program, and merge their plans.

Two runs can share a program if they differ only in values that have a replica axis or that never
reach the backend: data of the same shape, initial weights (so any initialiser and any seed),
learning rates, the other numbers of the optimiser, and settings of the trainer, such as early
stopping.
"""

from collections.abc import Hashable, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from backends import Array, Data, Execution, State, TrainingSpec
from harness.training.replicas import merge_states

if TYPE_CHECKING:
    from harness.training.plan import Plan

MEMORY_SHARE = 0.25  # share of the machine's memory that the jobs of one group may need
# Jobs of a group at most. So many runs are open at once, whatever the size of the sweep, and a stop
# or a crash costs no more than these. Beyond some 100 replicas a larger program is no faster per
# replica.
MAX_GROUP = 256

# Semantics that no program depends on: they act on the initial weights, after the backend, or as
# numbers.
IRRELEVANT_RULES = (
    *("name", "kernel_init", "recurrent_init", "init_gates", "bias_init", "forget_bias"),
    *("head_kernel_init", "head_bias_init", "epoch_loss", "rmsprop_rho"),
)


def sharing_key(plan: "Plan") -> Hashable:
    """Return a key that is equal for runs that can share a program."""
    config, training = plan.config, plan.training
    rules = {n: v for n, v in asdict(training.semantics).items() if n not in IRRELEVANT_RULES}
    left_out = ("numbers", "updates", "semantics")  # may differ, or are compared below
    settings = vars(training) | vars(plan.execution)
    settings = {name: value for name, value in settings.items() if name not in left_out}
    numbers = {
        n: bool(v.any()) if n == "weight_decay" else True for n, v in training.numbers.items()
    }
    data = plan.splits.training_data()
    shapes = {name: array.shape[1:] for name, array in data.arrays().items()}
    memory = tuple(plan.start.slots), plan.start.step
    backend = (config.backend.name, str(config.backend.factory))
    batches = (config.trainer.batch_size, config.trainer.order)
    parts: list[dict[str, Any]] = [rules, settings, numbers, shapes]
    return (
        plan.model,
        memory,
        backend,
        batches,
        *(tuple(sorted(part.items(), key=str)) for part in parts),
    )


def merge_plans(plans: Sequence["Plan"]) -> tuple[TrainingSpec, Data, State, Execution]:
    """Concatenate the plans' replicas; return the arguments of their backend except the model."""
    counts = [plan.config.replicas for plan in plans]
    training = plans[0].training
    numbers = {
        name: np.concatenate(
            [np.resize(p.training.numbers[name], c) for p, c in zip(plans, counts, strict=True)]
        )
        for name in training.numbers
    }
    updates = max(plan.execution.updates for plan in plans)
    arrays = [plan.splits.training_data().arrays() for plan in plans]
    data = Data(**{name: stack([parts[name] for parts in arrays], counts) for name in arrays[0]})
    state = merge_states([plan.start for plan in plans])
    execution = replace(plans[0].execution, updates=updates)
    return replace(training, numbers=numbers), data, state, execution


def stack(parts: Sequence[Array], counts: Sequence[int]) -> Array:
    """Concatenate arrays `(R, …)` along the replica axis; shared ones `(1, …)` are repeated."""
    repeated = [
        np.broadcast_to(part, (count, *part.shape[1:]))
        for part, count in zip(parts, counts, strict=True)
    ]
    return np.concatenate(repeated)
