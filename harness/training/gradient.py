"""The gradients of any backend, computed through the contract: no backend has a `gradients()`.

A step of plain SGD moves each weight by lr times its gradient, so `(before - after) / lr` is the
gradient. lr is 2³⁰: a power of two only shifts exponents, so neither the product nor the quotient
is rounded; and it is large, so that adding the weight in between costs the gradient few digits. A
gradient below 2⁻³⁰ of its weight keeps fewer digits than the precision has; use float64 for it.
"""

from dataclasses import replace

import numpy as np

from backends import CPU, Array, BackendFactory, Data, Execution, State, TrainingSpec
from harness.core.model import ModelSpec, Params

LR = 2.0**30


def gradients(
    factory: BackendFactory,
    model: ModelSpec,
    training: TrainingSpec,
    data: Data,
    state: State,
    rows: Array,
    execution: Execution = CPU,
) -> Params:
    """Return the gradient of the mean loss over the samples `rows` `(R, B)`, at `state`'s weights.

    The arrays have canonical names and the weights' shapes `(R, …)`, in the training precision and
    in loss per unit of weight. The optimiser, clipping and weight decay of `training` are not used;
    its loss, semantics and precision are. `state` is not changed.
    """
    plain = plain_sgd(training)
    backend = factory(model, plain, data, State(state.params), replace(execution, updates=1))
    before = backend.state().params  # as rounded to the training precision
    backend.train_epoch(rows[None], np.full((1, len(rows)), LR))
    after = backend.state().params
    return {name: (before[name] - after[name]) / before[name].dtype.type(LR) for name in before}


def plain_sgd(training: TrainingSpec) -> TrainingSpec:
    """Return the rules with plain SGD as optimiser, whose state is the weights alone."""
    zero = np.zeros(1)
    return replace(
        training,
        optimizer="sgd",
        numbers={"momentum": zero, "weight_decay": zero},
        nesterov=False,
        clip=None,
    )
