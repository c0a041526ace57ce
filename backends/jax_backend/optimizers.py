"""The optimisers' update rules as pure functions of one replica's arrays.

optax cannot express these rules: a learning rate inside the velocity, float64 norms and powers of β
in a float32 run.

Each rule is `rule(θ, g, slots, n, s) -> θ, slots`: weight, gradient, the weight's slot variables by
name, the numbers, and the semantics, which choose between the forms that frameworks have. `n` holds
the learning rate `lr` in the training precision, the number of the update `t`, 1 for the first, and
the optimiser's numbers as float64 scalars (`backends/numbers.py`).

A choice is part of the compiled program: the semantics, or a key that is present or absent (the
slot `velocity`, the numbers `nesterov`, `clip` and `weight_decay`). A number is an argument of it.
"""

import jax
import jax.numpy as jnp

from harness.core.semantics import Semantics

Array = jax.Array
Arrays = dict[str, Array]  # by the parameters' names
Slots = dict[str, Arrays]
Updated = tuple[Array, Arrays]


def update(
    optimizer: str, params: Arrays, gradients: Arrays, slots: Slots, n: Arrays, s: Semantics
) -> tuple[Arrays, Slots]:
    """Clip, decay, step: the order of all backends."""
    gradients = clip(gradients, n, s)
    new_params: Arrays = {}
    new_slots: Slots = {slot: {} for slot in slots}
    for name, θ in params.items():
        θ, g = decay(θ, gradients[name], n, s)
        memory = {slot: values[name] for slot, values in slots.items()}
        new_params[name], memory = UPDATE[optimizer](θ, g, memory, n, s)
        for slot, value in memory.items():
            new_slots[slot][name] = value
    return new_params, new_slots


def clip(gradients: Arrays, n: Arrays, s: Semantics) -> Arrays:
    """Clip one replica's gradient: g ← g·min(1, limit / (‖g‖ + ε)), with the norm over all of it
    or over each weight (Pascanu et al. 2013, Algorithm 1), or each entry to ±limit."""
    if "clip" not in n:
        return gradients
    limit = n["clip"]
    if s.clip_scope == "value":
        bound = {name: limit.astype(g.dtype) for name, g in gradients.items()}
        return {name: jnp.clip(g, -bound[name], bound[name]) for name, g in gradients.items()}
    # In float64: squares overflow float32 just where clipping is needed.
    squares = {name: jnp.sum(g.astype(jnp.float64) ** 2) for name, g in gradients.items()}
    if s.clip_scope == "global":
        squares = dict.fromkeys(gradients, sum(squares.values()))
    clipped: Arrays = {}
    for name, g in gradients.items():
        norm = jnp.sqrt(squares[name]) + s.clip_eps
        # A norm that is not finite is not below the limit: the gradient does not become finite.
        clipped[name] = g * jnp.where(norm <= limit, 1.0, limit / norm).astype(g.dtype)
    return clipped


def decay(θ: Array, g: Array, n: Arrays, s: Semantics) -> tuple[Array, Array]:
    """Add λ·θ to the gradient (coupled), or subtract lr·λ·θ from the weight (decoupled;
    Loshchilov & Hutter 2019); return both. θ·(1 − lr·λ) would round that factor."""
    if "weight_decay" not in n:
        return θ, g
    λ = n["weight_decay"].astype(θ.dtype)
    return (θ, g + λ * θ) if s.weight_decay == "coupled" else (θ - n["lr"] * λ * θ, g)


def sgd(θ: Array, g: Array, slots: Arrays, n: Arrays, s: Semantics) -> Updated:
    """SGD: v ← μ·v + g; θ ← θ − lr·v, or θ − lr·(g + μ·v) with Nesterov (Sutskever et al. 2013).

    With momentum_lr `inside`, lr·g takes the place of g and θ moves by v itself.
    """
    if "velocity" not in slots:
        return θ - n["lr"] * g, slots
    μ, lr, inside = n["momentum"].astype(g.dtype), n["lr"], s.momentum_lr == "inside"
    push = lr * g if inside else g
    v = μ * slots["velocity"] + push
    move = push + μ * v if "nesterov" in n else v
    return θ - (move if inside else lr * move), {"velocity": v}


def adam(θ: Array, g: Array, slots: Arrays, n: Arrays, s: Semantics) -> Updated:
    """Adam: θ ← θ − lr·m̂ / (√v̂ + ε) with m̂ = m/(1−β₁ᵗ), v̂ = v/(1−β₂ᵗ).

    Kingma & Ba 2015, Algorithm 1. With ε `uncorrected`, as in the remark below it:
    θ ← θ − lr·√(1−β₂ᵗ)/(1−β₁ᵗ)·m / (√v + ε).
    """
    dtype, lr, t = g.dtype, n["lr"], n["t"]
    m, v = slots["m"], slots["v"]
    m = m + (1 - n["beta1"]).astype(dtype) * (g - m)
    v = v + (1 - n["beta2"]).astype(dtype) * (g * g - v)
    powers = jnp.float64 if s.beta_powers == "float64" else dtype
    correction_1, correction_2 = (
        1 - n[β].astype(powers) ** t.astype(powers) for β in ("beta1", "beta2")
    )
    if s.adam_eps_place == "corrected":
        rate = (lr / correction_1).astype(dtype)
        root = jnp.sqrt(v) / jnp.sqrt(correction_2).astype(dtype)
    else:
        rate = (lr * jnp.sqrt(correction_2) / correction_1).astype(dtype)
        root = jnp.sqrt(v)
    return θ - rate * m / (root + s.adam_eps), {"m": m, "v": v}


def rmsprop(θ: Array, g: Array, slots: Arrays, n: Arrays, s: Semantics) -> Updated:
    """RMSprop (Tieleman & Hinton 2012): v ← ρ·v + (1−ρ)·g²; θ ← θ − lr·g / (√v + ε), or / √(v + ε)
    with ε `inside`."""
    v = slots["v"]
    v = v + (1 - n["rho"]).astype(g.dtype) * (g * g - v)
    inside = s.rmsprop_eps_place == "inside"
    root = jnp.sqrt(v + s.rmsprop_eps) if inside else jnp.sqrt(v) + s.rmsprop_eps
    return θ - n["lr"] * g / root, {"v": v}


UPDATE = {"sgd": sgd, "adam": adam, "rmsprop": rmsprop}
