"""One update of all replicas as a function of tensors alone, which a kernel runs or compiles.

Everything that decides its control flow is in `Rules`, which can be compared and hashed; every
number is a tensor. So a program that is compiled for some rules and shapes serves every later job
with the same rules and shapes.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from backends import TrainingSpec
from backends.flat import sizes
from backends.torch_backend.cells import Weights
from backends.torch_backend.losses import mean_loss
from backends.torch_backend.optimizers import UPDATE, Tensors, clip, decay
from harness.core.model import ModelSpec, shapes
from harness.core.semantics import Semantics

Network = Callable[[ModelSpec, Weights, Tensor, Tensor | None], Tensor]


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The static arguments of a program: everything that is not a tensor."""

    model: ModelSpec
    loss: str
    optimizer: str
    semantics: Semantics


def rules_of(model: ModelSpec, training: TrainingSpec) -> Rules:
    """Return the static arguments of a training."""
    return Rules(
        model=model, loss=training.loss, optimizer=training.optimizer, semantics=training.semantics
    )


def by_name(θ: Tensor, model: ModelSpec) -> Weights:
    """Return each weight `(R, …)` as a view of θ `(R, P)`."""
    named = zip(shapes(model).items(), θ.split(sizes(model), 1), strict=True)
    return {name: part.view(len(θ), *shape) for (name, shape), part in named}


@torch.no_grad()
def step(
    rules: Rules,
    network: Network,
    θ: Tensor,
    slots: Tensors,
    data: Tensors,
    rows: Tensor,
    n: Tensors,
) -> Tensor:
    """Update θ `(R, P)` and `slots` in place; return each replica's loss `(R,)` before the update.

    `data` holds the samples `(M, …)` as x, y and perhaps mask, `rows` `(R, B)` the batch's indices
    into them, `n` the optimiser's numbers `(R, 1)`. Clip, decay, step: the order of all backends.
    """
    batch = {name: part[rows] for name, part in data.items()}
    mask = batch.get("mask")
    leaf = θ.detach().requires_grad_()
    with torch.enable_grad():
        outputs = network(rules.model, by_name(leaf, rules.model), batch["x"], mask)
        counted = mask if rules.model.every_step else None
        losses = mean_loss(rules.loss, rules.semantics.bce, outputs, batch["y"], counted)
        # Replicas share no weight, so the gradient of the sum is each one's own gradient.
        (g,) = torch.autograd.grad(losses.sum(), [leaf])
    g = clip(g, sizes(rules.model), n, rules.semantics)
    g = decay(θ, g, n, rules.semantics)
    UPDATE[rules.optimizer](θ, g, slots, n, rules.semantics)
    return losses.detach()
