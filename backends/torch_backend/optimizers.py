"""The optimisers' update rules, in place, on all weights of all replicas at once: `(R, P)` tensors.

`torch.optim` cannot express these rules: ε before the bias correction or under the root, powers of
β in the training precision, a learning rate inside the velocity, a learning rate per replica. Where
they overlap, tests compare them with `torch.optim`.

Each rule is `rule(θ, g, slots, n, s)`: weights, gradients, the optimiser's slot variables by name,
its numbers `(R, 1)` each, and the semantics, which choose between the forms that frameworks have. A
rule that can be off (`nesterov`, `weight_decay`, `clip`) is a key of `n` that is present or absent,
so that the whole update can be compiled.
"""

import numpy as np
import torch
from torch import Tensor

from backends import TrainingSpec
from backends.numbers import numbers_of
from harness.core.arrays import Array
from harness.core.semantics import Semantics

Tensors = dict[str, Tensor]


def numbers(training: TrainingSpec) -> dict[str, Array]:
    """Return the optimiser's numbers, `(R,)` or `(1,)` each, in float64.

    `new_m` and `new_v` take the place of β₁, β₂ and ρ: the shares 1 − β and 1 − ρ of new values.
    """
    hyperparameters = numbers_of(training)
    shares = {"beta1": "new_m", "beta2": "new_v", "rho": "new_v"}
    return {shares.get(n, n): 1 - v if n in shares else v for n, v in hyperparameters.items()}


def rates(training: TrainingSpec, lr: Array, done: int) -> dict[str, Array]:
    """Return the numbers that change from step to step, `(S, R)` each, after `done` updates.

    They are the learning rate and, with Adam, the factor of m (`rate`) and the root of v's bias
    correction (`root`).
    """
    if training.optimizer != "adam":
        return {"lr": lr}
    s, t = training.semantics, np.arange(done + 1, done + 1 + len(lr))[:, None]
    powers = np.float64 if s.beta_powers == "float64" else np.dtype(training.precision).type
    first, second = (
        1 - training.numbers[β].astype(powers) ** t.astype(powers) for β in ("beta1", "beta2")
    )  # (S, R or 1)
    root = np.sqrt(second)
    rate = lr / first if s.adam_eps_place == "corrected" else lr * root / first
    return {"lr": lr, "rate": rate, "root": np.broadcast_to(root, lr.shape)}


def sgd(θ: Tensor, g: Tensor, slots: Tensors, n: Tensors, s: Semantics) -> None:
    """SGD: v ← μ·v + g; θ ← θ − lr·v, or θ − lr·(g + μ·v) with Nesterov (Sutskever et al. 2013).

    With momentum_lr `inside`, lr·g takes the place of g and θ moves by v itself.
    """
    if "velocity" not in slots:
        θ.sub_(n["lr"] * g)
        return
    v, μ, inside = slots["velocity"], n["momentum"], s.momentum_lr == "inside"
    push = n["lr"] * g if inside else g
    v.mul_(μ).add_(push)
    move = push + μ * v if "nesterov" in n else v
    θ.sub_(move if inside else n["lr"] * move)


def adam(θ: Tensor, g: Tensor, slots: Tensors, n: Tensors, s: Semantics) -> None:
    """Adam: θ ← θ − lr·m̂ / (√v̂ + ε) with m̂ = m/(1−β₁ᵗ), v̂ = v/(1−β₂ᵗ).

    Kingma & Ba 2015, Algorithm 1. With ε `uncorrected`, as in the remark below it:
    θ ← θ − lr·√(1−β₂ᵗ)/(1−β₁ᵗ)·m / (√v + ε).
    """
    m, v = slots["m"], slots["v"]
    m.lerp_(g, n["new_m"])
    v.lerp_(g * g, n["new_v"])
    below = v.sqrt()
    if s.adam_eps_place == "corrected":
        below = below / n["root"]
    θ.sub_(m / (below + s.adam_eps) * n["rate"])


def rmsprop(θ: Tensor, g: Tensor, slots: Tensors, n: Tensors, s: Semantics) -> None:
    """RMSprop (Tieleman & Hinton 2012): v ← ρ·v + (1−ρ)·g²; θ ← θ − lr·g / (√v + ε), or / √(v + ε)
    with ε `inside`."""
    v, ε = slots["v"], s.rmsprop_eps
    v.lerp_(g * g, n["new_v"])
    below = (v + ε).sqrt() if s.rmsprop_eps_place == "inside" else v.sqrt() + ε
    θ.sub_(n["lr"] * g / below)


UPDATE = {"sgd": sgd, "adam": adam, "rmsprop": rmsprop}


def decay(θ: Tensor, g: Tensor, n: Tensors, s: Semantics) -> Tensor:
    """Add λ·θ to the gradient (coupled), or subtract lr·λ·θ from the weights (decoupled;
    Loshchilov & Hutter 2019); return the gradient."""
    if "weight_decay" not in n:
        return g
    if s.weight_decay == "coupled":
        return g + n["weight_decay"] * θ
    θ.sub_(n["lr"] * n["weight_decay"] * θ)  # a factor 1 − lr·λ would round
    return g


def clip(g: Tensor, sizes: list[int], n: Tensors, s: Semantics) -> Tensor:
    """Clip each replica's gradient: g ← g·min(1, limit / (‖g‖ + ε)), with the norm over all of it
    or over each weight (Pascanu et al. 2013, Algorithm 1), or each entry to ±limit.

    `sizes` are the numbers of entries of the weights.
    """
    if "clip" not in n:
        return g
    limit = n["clip"]
    if s.clip_scope == "value":
        return torch.maximum(torch.minimum(g, limit), -limit)
    # In float64: squares overflow float32 just where clipping is needed.
    parts = [g] if s.clip_scope == "global" else g.split(sizes, 1)
    norms = [part.double().square().sum(1, keepdim=True).sqrt() + s.clip_eps for part in parts]
    # A norm that is not finite is not below the limit: the gradient does not become finite.
    factors = [torch.where(norm <= limit, 1.0, limit / norm).to(g.dtype) for norm in norms]
    return torch.cat([part * f for part, f in zip(parts, factors, strict=True)], 1)
