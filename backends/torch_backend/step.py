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
from backends.torch_backend.cells import Weights, network
from backends.torch_backend.losses import mean_loss
from backends.torch_backend.optimizers import UPDATE, Tensors, clip, decay
from harness.core.model import ModelSpec, shapes
from harness.core.semantics import Semantics

# From θ, inputs and mask to the leaves of autograd, which hold θ's entries in order, and outputs.
Forward = Callable[[ModelSpec, Tensor, Tensor, Tensor | None], tuple[list[Tensor], Tensor]]


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


def stacked(
    model: ModelSpec, θ: Tensor, x: Tensor, mask: Tensor | None
) -> tuple[list[Tensor], Tensor]:
    """Return θ as a leaf, and the outputs of all replicas, which are computed at once."""
    leaf = θ.detach().requires_grad_()
    return [leaf], network(model, by_name(leaf, model), x, mask)


@torch.no_grad()
def step(
    rules: Rules,
    forward: Forward,
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
    with torch.enable_grad():
        leaves, outputs = forward(rules.model, θ, batch["x"], mask)
        counted = mask if rules.model.every_step else None
        losses = mean_loss(rules.loss, rules.semantics.bce, outputs, batch["y"], counted)
        # Replicas share no weight, so the gradient of the sum is each one's own gradient.
        parts = torch.autograd.grad(losses.sum(), leaves)
    g = parts[0] if len(parts) == 1 else torch.cat([part.reshape(-1) for part in parts])
    g = g.view(θ.shape)
    g = clip(g, sizes(rules.model), n, rules.semantics)
    g = decay(θ, g, n, rules.semantics)
    UPDATE[rules.optimizer](θ, g, slots, n, rules.semantics)
    return losses.detach()
