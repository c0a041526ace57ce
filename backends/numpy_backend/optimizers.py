"""The optimisers' update rules, in place, on all weights of all replicas at once: `(R, P)` arrays.

Each rule is `rule(θ, g, slots, n, s)`: weights, gradients, the optimiser's slot variables by name,
the numbers, and the semantics, which choose between the forms that frameworks have. `n` holds the
learning rate `lr` `(R, 1)` in the training precision, the number of the update `t`, 1 for the
first, and the optimiser's numbers `(R or 1, 1)` in float64 (`backends/numbers.py`).
"""

import numpy as np

from harness.core.arrays import Array
from harness.core.model import Params
from harness.core.semantics import Semantics


def towards(mean: Array, new: Array, share: Array) -> None:
    """Move a running mean by `share` of its distance to `new`: mean ← mean + share·(new − mean)."""
    change = new - mean
    change *= share.astype(mean.dtype)
    mean += change


def sgd(θ: Array, g: Array, slots: Params, n: Params, s: Semantics) -> None:
    """SGD: v ← μ·v + g; θ ← θ − lr·v, or θ − lr·(g + μ·v) with Nesterov (Sutskever et al. 2013).

    With momentum_lr `inside`, lr·g takes the place of g and θ moves by v itself.
    """
    if "velocity" not in slots:
        θ -= n["lr"] * g
        return
    v, μ, lr = slots["velocity"], n["momentum"].astype(g.dtype), n["lr"]
    inside = s.momentum_lr == "inside"
    push = lr * g if inside else g
    v *= μ
    v += push
    move = push + μ * v if "nesterov" in n else v
    θ -= move if inside else lr * move


def adam(θ: Array, g: Array, slots: Params, n: Params, s: Semantics) -> None:
    """Adam: θ ← θ − lr·m̂ / (√v̂ + ε) with m̂ = m/(1−β₁ᵗ), v̂ = v/(1−β₂ᵗ).

    Kingma & Ba 2015, Algorithm 1. With ε `uncorrected`, as in the remark below it:
    θ ← θ − lr·√(1−β₂ᵗ)/(1−β₁ᵗ)·m / (√v + ε).
    """
    m, v = slots["m"], slots["v"]
    β1, β2, lr, t = n["beta1"], n["beta2"], n["lr"], n["t"]
    towards(m, g, 1 - β1)
    towards(v, g * g, 1 - β2)
    powers = np.float64 if s.beta_powers == "float64" else g.dtype.type
    correction_1, correction_2 = (1 - β.astype(powers) ** powers(t) for β in (β1, β2))
    below = np.sqrt(v)
    if s.adam_eps_place == "corrected":
        rate = lr / correction_1
        below /= np.sqrt(correction_2).astype(g.dtype)
    else:
        rate = lr * np.sqrt(correction_2) / correction_1
    below += g.dtype.type(s.adam_eps)
    np.divide(m, below, out=below)
    below *= rate.astype(g.dtype)
    θ -= below


def rmsprop(θ: Array, g: Array, slots: Params, n: Params, s: Semantics) -> None:
    """RMSprop (Tieleman & Hinton 2012): v ← ρ·v + (1−ρ)·g²; θ ← θ − lr·g / (√v + ε), or / √(v + ε)
    with ε `inside`."""
    v, ε = slots["v"], g.dtype.type(s.rmsprop_eps)
    towards(v, g * g, 1 - n["rho"])
    θ -= n["lr"] * g / (np.sqrt(v + ε) if s.rmsprop_eps_place == "inside" else np.sqrt(v) + ε)


UPDATE = {"sgd": sgd, "adam": adam, "rmsprop": rmsprop}


def decay(θ: Array, g: Array, n: Params, s: Semantics) -> None:
    """Add λ·θ to the gradient (coupled), or subtract lr·λ·θ from the weights (decoupled;
    Loshchilov & Hutter 2019)."""
    if "weight_decay" not in n:
        return
    λ = n["weight_decay"].astype(θ.dtype)
    if s.weight_decay == "coupled":
        g += λ * θ
    else:
        θ -= n["lr"] * λ * θ


def clip(g: Array, sizes: list[int], n: Params, s: Semantics) -> None:
    """Clip each replica's gradient: g ← g·min(1, limit / (‖g‖ + ε)), with the norm over all of it
    or over each weight (Pascanu et al. 2013, Algorithm 1), or each entry to ±limit.

    `sizes` are the numbers of entries of the weights.
    """
    if "clip" not in n:
        return
    limit = n["clip"]
    if s.clip_scope == "value":
        bound = limit.astype(g.dtype)
        np.clip(g, -bound, bound, out=g)
        return
    for part in [g] if s.clip_scope == "global" else np.split(g, np.cumsum(sizes)[:-1], axis=1):
        # In float64: squares overflow float32 just where clipping is needed.
        squares = np.square(part, dtype=np.float64).sum(axis=1, keepdims=True)
        norm = np.sqrt(squares) + s.clip_eps  # (R, 1)
        # A norm that is not finite is not below the limit: the gradient does not become finite.
        part *= np.where(norm <= limit, 1.0, limit / norm).astype(g.dtype)
