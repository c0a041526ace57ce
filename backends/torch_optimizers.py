"""The optimisers' update rules, in place, on lists of tensors: one entry per parameter and replica.

`torch.optim` cannot express these rules (an ε before the bias correction or under the root, powers
of β in the training precision, a learning rate inside the velocity, one per replica), so they stand
here, in the style of its `foreach` form. Where they overlap, tests compare with the real
`torch.optim`.

Each is `update(θ, g, slots, t, lr, n, s)`: parameters, gradients, the optimiser's memory by slot
name, the number of the update (1 for the first), learning rates and the optimiser's own numbers,
one per entry of θ, and the semantics, which choose between the forms that frameworks have. No
gradient is changed in place, as autograd may give two parameters the same tensor.
"""

# The operations on lists, of which `torch.optim` consists, are public in all but their underscore.
# pyright: reportPrivateImportUsage=false

import torch
from torch import Tensor

from harness.semantics import Semantics

Tensors = list[Tensor]
Numbers = list[float]


def sgd(
    θ: Tensors,
    g: Tensors,
    slots: dict[str, Tensors],
    t: int,
    lr: Numbers,
    n: dict[str, Numbers],
    s: Semantics,
) -> None:
    """v ← μ·v + g; θ ← θ − lr·v, Nesterov: θ − lr·(g + μ·v). With momentum_lr `inside`, lr·g takes
    the place of g and θ moves by v itself. `n` holds μ as momentum, and nesterov as 0 or 1."""
    if "velocity" not in slots:
        torch._foreach_sub_(θ, torch._foreach_mul(g, lr))
        return
    v, μ = slots["velocity"], n["momentum"]
    inside = s.momentum_lr == "inside"
    push = torch._foreach_mul(g, lr) if inside else g
    torch._foreach_mul_(v, μ)
    torch._foreach_add_(v, push)
    move = torch._foreach_add(torch._foreach_mul(v, μ), push) if any(n["nesterov"]) else v
    torch._foreach_sub_(θ, move if inside else torch._foreach_mul(move, lr))


def adam(
    θ: Tensors,
    g: Tensors,
    slots: dict[str, Tensors],
    t: int,
    lr: Numbers,
    n: dict[str, Numbers],
    s: Semantics,
) -> None:
    """θ ← θ − lr·m̂ / (√v̂ + ε) with m̂ = m/(1−β₁ᵗ) and v̂ = v/(1−β₂ᵗ): Kingma & Ba 2015,
    Algorithm 1. Uncorrected, as in the remark below it: θ ← θ − lr·√(1−β₂ᵗ)/(1−β₁ᵗ)·m / (√v + ε).
    """
    m, v = slots["m"], slots["v"]
    torch._foreach_lerp_(m, g, [1 - β for β in n["beta1"]])
    torch._foreach_lerp_(v, torch._foreach_mul(g, g), [1 - β for β in n["beta2"]])
    powers = torch.float64 if s.beta_powers == "float64" else g[0].dtype
    first = corrections(n["beta1"], t, powers)
    roots = [c**0.5 for c in corrections(n["beta2"], t, powers)]
    below = torch._foreach_sqrt(v)
    if s.adam_eps_place == "corrected":
        torch._foreach_div_(below, roots)
        rates = [rate / c for rate, c in zip(lr, first, strict=True)]
    else:
        rates = [rate * root / c for rate, root, c in zip(lr, roots, first, strict=True)]
    torch._foreach_add_(below, s.adam_eps)
    torch._foreach_sub_(θ, torch._foreach_mul(torch._foreach_div(m, below), rates))


def corrections(βs: Numbers, t: int, dtype: torch.dtype) -> Numbers:
    """1 − βᵗ of each β, rounded at every operation to `dtype`."""
    powers = torch.tensor(βs, dtype=dtype) ** torch.tensor(t, dtype=dtype)  # ** 3 is two products
    return (1 - powers).tolist()


def rmsprop(
    θ: Tensors,
    g: Tensors,
    slots: dict[str, Tensors],
    t: int,
    lr: Numbers,
    n: dict[str, Numbers],
    s: Semantics,
) -> None:
    """v ← ρ·v + (1−ρ)·g²; θ ← θ − lr·g / (√v + ε), or / √(v + ε) with ε inside."""
    v = slots["v"]
    torch._foreach_lerp_(v, torch._foreach_mul(g, g), [1 - ρ for ρ in n["rho"]])
    if s.rmsprop_eps_place == "inside":
        below = torch._foreach_sqrt(torch._foreach_add(v, s.rmsprop_eps))
    else:
        below = torch._foreach_add(torch._foreach_sqrt(v), s.rmsprop_eps)
    torch._foreach_sub_(θ, torch._foreach_div(torch._foreach_mul(g, lr), below))


UPDATE = {"sgd": sgd, "adam": adam, "rmsprop": rmsprop}


def decay(θ: Tensors, g: Tensors, lr: Numbers, rates: Numbers, s: Semantics) -> Tensors:
    """The gradients with λ·θ in them (coupled); or lr·λ·θ is taken off θ (decoupled; Loshchilov &
    Hutter 2019) and they stay as they are. `rates` are the λ."""
    if s.weight_decay == "coupled":
        return list(torch._foreach_add(g, torch._foreach_mul(θ, rates)))
    shares = [rate * λ for rate, λ in zip(lr, rates, strict=True)]
    torch._foreach_sub_(θ, torch._foreach_mul(θ, shares))  # a factor 1 − lr·λ would round
    return g


def clip(g: Tensors, norms: Tensor, limit: float, s: Semantics) -> Tensors:
    """The gradients kept small: g·min(1, limit / (‖g‖ + ε)) (Pascanu et al. 2013, Algorithm 1), or
    each entry within ±limit. `norms` `(len(g),)` numbers, from 0, the norm that each belongs to."""
    if s.clip_scope == "value":
        return [each.clamp(-limit, limit) for each in g]
    squares = torch.stack([each.double().square().sum() for each in g])
    norm = torch.zeros_like(squares).index_add(0, norms, squares).sqrt() + s.clip_eps
    # A norm that is not finite is not below the limit: the gradient does not become finite.
    factor = torch.where(norm <= limit, 1.0, limit / norm)[norms].to(g[0].dtype)
    return [each * own for each, own in zip(g, factor, strict=True)]
