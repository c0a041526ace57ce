"""One update of all replicas, as a function of tensors alone: what a kernel runs, or compiles.

What decides the course of it is in `Rules`, which can be compared and hashed; every number is a
tensor. So a program compiled for some rules and shapes serves every later job that has the same.
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
    """The part of a training that is no number."""

    model: ModelSpec
    loss: str
    optimizer: str
    semantics: Semantics


def rules_of(model: ModelSpec, training: TrainingSpec) -> Rules:
    """Return the network and the rules of its training, without their numbers."""
    return Rules(
        model=model, loss=training.loss, optimizer=training.optimizer, semantics=training.semantics
    )


def by_name(θ: Tensor, model: ModelSpec) -> Weights:
    """`(R, P)` -> views of each weight `(R, …)`."""
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
    """Update θ `(R, P)` and `slots` in place; each replica's loss `(R,)` before that.

    `data` holds samples `(M, …)` as x, y and perhaps mask, `rows` `(R, B)` which of them, `n` the
    optimiser's numbers `(R, 1)`. Clip, decay, step: the order that all backends follow.
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
