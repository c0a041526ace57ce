"""The optimisers' update rules, in place, on arrays with a leading replica axis.

Each is `update(θ, g, slots, t, lr, numbers, semantics)`: parameter, gradient, this parameter's
memory by slot name, the number of the update (1 for the first), learning rate and the optimiser's
own numbers, both already shaped to broadcast against θ.
"""

import numpy as np

from harness.model import Params
from harness.semantics import Semantics

Array = np.ndarray


def sgd(θ: Array, g: Array, slots: Params, t: int, lr: Array, n: Params, s: Semantics) -> None:
    """v ← μ·v + g; θ ← θ − lr·v, Nesterov: θ − lr·(g + μ·v). `n` holds μ as momentum, and
    nesterov as 0 or 1."""
    if "velocity" not in slots:
        θ -= lr * g
        return
    v, μ = slots["velocity"], n["momentum"].astype(g.dtype)
    v *= μ
    v += g
    θ -= lr * (g + μ * v if n["nesterov"].any() else v)


def adam(θ: Array, g: Array, slots: Params, t: int, lr: Array, n: Params, s: Semantics) -> None:
    """Kingma & Ba 2015, Algorithm 1: θ ← θ − lr·m̂ / (√v̂ + ε). The powers of β stay float64."""
    m, v = slots["m"], slots["v"]
    β1, β2 = n["beta1"], n["beta2"]
    m += (1 - β1).astype(g.dtype) * (g - m)
    v += (1 - β2).astype(g.dtype) * (g * g - v)
    rate = (lr / (1 - β1**t)).astype(g.dtype)
    root = np.sqrt(v) / np.sqrt(1 - β2**t).astype(g.dtype)
    θ -= rate * m / (root + g.dtype.type(s.adam_eps))


def rmsprop(θ: Array, g: Array, slots: Params, t: int, lr: Array, n: Params, s: Semantics) -> None:
    """v ← ρ·v + (1−ρ)·g²; θ ← θ − lr·g / (√v + ε)."""
    v, ρ = slots["v"], n["rho"]
    v += (1 - ρ).astype(g.dtype) * (g * g - v)
    θ -= lr * g / (np.sqrt(v) + g.dtype.type(s.rmsprop_eps))


UPDATE = {"sgd": sgd, "adam": adam, "rmsprop": rmsprop}


def clip(gradients: Params, limit: float) -> None:
    """Scale each replica's gradient so that its norm over all parameters is at most `limit`;
    Pascanu et al. 2013, Algorithm 1. A gradient that is not finite does not become so."""
    squares = [
        (g.astype(np.float64) ** 2).reshape(len(g), -1).sum(axis=1) for g in gradients.values()
    ]
    norm = np.sqrt(np.sum(squares, axis=0))  # (R,)
    factor = np.where(norm > limit, limit / np.maximum(norm, limit), 1.0)
    for g in gradients.values():
        g *= factor.astype(g.dtype).reshape(-1, *[1] * (g.ndim - 1))
