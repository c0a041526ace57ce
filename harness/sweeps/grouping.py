"""Which runs can be replicas of one program, and how they are put together.

Two runs can share if they differ only in what has a replica axis, or never reaches the backend:
data of the same shape, initial weights (so any initialiser, any seed), learning rates, the other
numbers of the optimiser, and what the trainer decides, such as early stopping.
"""

from collections.abc import Hashable, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from backends import Array, Data, Execution, State, TrainingSpec
from harness.training.replicas import merge_states

if TYPE_CHECKING:
    from harness.training.plan import Plan

# Rules that are used up when the initial weights have been drawn, or act after the backend.
NO_PART = (
    *("name", "kernel_init", "recurrent_init", "init_gates", "bias_init", "forget_bias"),
    *("head_kernel_init", "head_bias_init", "epoch_loss", "rmsprop_rho"),
)


def key(plan: "Plan") -> Hashable:
    """Equal for runs that can share a program."""
    config, training = plan.config, plan.training
    rules = {n: v for n, v in asdict(training.semantics).items() if n not in NO_PART}
    apart = ("numbers", "updates", "semantics")
    facts = vars(training) | vars(plan.execution)
    facts = {name: value for name, value in facts.items() if name not in apart}
    numbers = {
        n: bool(v.any()) if n == "weight_decay" else True for n, v in training.numbers.items()
    }
    data = plan.splits.training_data()
    shapes = {name: array.shape[1:] for name, array in data.arrays().items()}
    memory = tuple(plan.start.slots), plan.start.step
    own = (config.backend.name, str(config.backend.factory), config.trainer.batch_size)
    parts: list[dict[str, Any]] = [rules, facts, numbers, shapes]
    return (plan.model, memory, own, *(tuple(sorted(part.items(), key=str)) for part in parts))


def merged(plans: Sequence["Plan"]) -> tuple[TrainingSpec, Data, State, Execution]:
    """Put the plans' replicas one after the other: all that constructs their backend."""
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
    data = Data(**{name: stack([own[name] for own in arrays], counts) for name in arrays[0]})
    state = merge_states([plan.start for plan in plans])
    execution = replace(plans[0].execution, updates=updates)
    return replace(training, numbers=numbers), data, state, execution


def stack(parts: Sequence[Array], counts: Sequence[int]) -> Array:
    """Arrays `(R, …)` one after the other, those that are shared `(1, …)` repeated."""
    wide = [
        np.broadcast_to(part, (count, *part.shape[1:]))
        for part, count in zip(parts, counts, strict=True)
    ]
    return np.concatenate(wide)
