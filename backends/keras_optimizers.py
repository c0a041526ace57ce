"""The optimisers' update rules in TensorFlow, for one parameter of one replica, in place.

Not `keras.optimizers`: they keep the learning rate in float32, where float64 curves part after six
digits, and most rules of `harness/semantics.py` are not among their options. Under the preset
`keras` they do the same as these, which tests hold against each other.

Each rule is `update(θ, g, slots, t, lr, n, s)`: variable, gradient, this parameter's memory by slot
name, the number of the update (1 for the first), the learning rate in the precision of θ, this
replica's numbers of the optimiser, and the semantics.
"""

from typing import Any

import tensorflow as tf

from harness.semantics import Semantics

Slots = dict[str, tf.Variable]
Numbers = dict[str, float]


def sgd(θ: tf.Variable, g: Any, slots: Slots, t: Any, lr: Any, n: Numbers, s: Semantics) -> None:
    """v ← μ·v + g; θ ← θ − lr·v, or θ − lr·(g + μ·v) with Nesterov. With momentum_lr `inside`, lr·g
    enters v and θ moves without lr. `n` has μ as `momentum`, and `nesterov` as 0 or 1."""
    if "velocity" not in slots:
        θ.assign_sub(lr * g)
        return
    v, μ = slots["velocity"], n["momentum"]
    push, rate = (lr * g, 1.0) if s.momentum_lr == "inside" else (g, lr)
    v.assign(μ * v + push)
    θ.assign_sub(rate * (push + μ * v if n["nesterov"] else v))


def adam(θ: tf.Variable, g: Any, slots: Slots, t: Any, lr: Any, n: Numbers, s: Semantics) -> None:
    """θ ← θ − lr/(1−β₁ᵗ)·m / (√v/√(1−β₂ᵗ) + ε): Kingma & Ba 2015, Algorithm 1. Uncorrected, ε is
    added to √v itself: θ ← θ − lr·√(1−β₂ᵗ)/(1−β₁ᵗ)·m / (√v + ε), as in the remark below it."""
    m, v = slots["m"], slots["v"]
    m.assign_add((g - m) * (1 - n["beta1"]))
    v.assign_add((tf.square(g) - v) * (1 - n["beta2"]))
    wide = tf.float64 if s.beta_powers == "float64" else g.dtype
    β1, β2 = (tf.constant(n[name], wide) for name in ("beta1", "beta2"))
    rate = tf.cast(lr, wide) / (1 - β1 ** tf.cast(t, wide))
    root = tf.sqrt(1 - β2 ** tf.cast(t, wide))
    if s.adam_eps_place == "corrected":
        below = tf.sqrt(v) / tf.cast(root, g.dtype) + s.adam_eps
    else:
        rate, below = rate * root, tf.sqrt(v) + s.adam_eps
    θ.assign_sub(tf.cast(rate, g.dtype) * m / below)


def rmsprop(
    θ: tf.Variable, g: Any, slots: Slots, t: Any, lr: Any, n: Numbers, s: Semantics
) -> None:
    """v ← ρ·v + (1−ρ)·g²; θ ← θ − lr·g / (√v + ε), or / √(v + ε) with ε inside."""
    v, ε = slots["v"], s.rmsprop_eps
    v.assign_add((tf.square(g) - v) * (1 - n["rho"]))
    inside = s.rmsprop_eps_place == "inside"
    θ.assign_sub(lr * g / (tf.sqrt(v + ε) if inside else tf.sqrt(v) + ε))


UPDATE = {"sgd": sgd, "adam": adam, "rmsprop": rmsprop}


def decay(θ: tf.Variable, g: Any, lr: Any, rate: float, s: Semantics) -> Any:
    """The gradient to go on with: λ·θ is added to it (coupled), or lr·λ·θ is taken off θ at once
    (decoupled; Loshchilov & Hutter 2019). `rate` is λ."""
    if s.weight_decay == "coupled":
        return g + rate * θ
    θ.assign_sub(lr * rate * θ)
    return g


def clip(gradients: list, limit: float, s: Semantics) -> list:
    """g·min(1, limit / (‖g‖ + ε)) with the norm over all of a replica's gradients or over each, or
    each entry within ±limit. Norms are taken in float64: float32 overflows just where clipping is
    needed. One that is not finite does not make the gradient finite."""
    if s.clip_scope == "value":
        return [tf.clip_by_value(g, -limit, limit) for g in gradients]
    squares = [tf.reduce_sum(tf.square(tf.cast(g, tf.float64))) for g in gradients]
    if s.clip_scope == "global":
        squares = [tf.add_n(squares)] * len(gradients)
    norms = [tf.sqrt(square) + s.clip_eps for square in squares]
    factors = [tf.where(norm <= limit, tf.ones_like(norm), limit / norm) for norm in norms]
    return [g * tf.cast(f, g.dtype) for g, f in zip(gradients, factors, strict=True)]
