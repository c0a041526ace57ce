"""The optimisers' update rules in TensorFlow, on all weights of all replicas at once: `(R, P)`.

`keras.optimizers` cannot express these rules: they keep the learning rate in float32, so that
float64 curves differ after six digits, and lack most rules of `harness/core/semantics.py`. Under
the preset `keras` they do the same as these; tests compare the two.

Each rule is `rule(θ, g, slots, n, s) -> θ, slots`: weights, gradients, the optimiser's slot
variables by name, the numbers, and the semantics, which choose between the forms that frameworks
have. `n` holds the learning rate `lr` `(R, 1)`, the number of the update `t`, 1 for the first, and
the optimiser's numbers `(R, 1)`, in float64 (`backends/numbers.py`).
"""

from typing import Any

import tensorflow as tf

from harness.core.semantics import Semantics

Tensors = dict[str, Any]


def sgd(θ: Any, g: Any, slots: Tensors, n: Tensors, s: Semantics) -> tuple[Any, Tensors]:
    """SGD: v ← μ·v + g; θ ← θ − lr·v, or θ − lr·(g + μ·v) with Nesterov (Sutskever et al. 2013).

    With momentum_lr `inside`, lr·g takes the place of g and θ moves by v itself.
    """
    lr = tf.cast(n["lr"], g.dtype)
    if "velocity" not in slots:
        return θ - lr * g, slots
    μ, inside = tf.cast(n["momentum"], g.dtype), s.momentum_lr == "inside"
    push = lr * g if inside else g
    v = μ * slots["velocity"] + push
    move = push + μ * v if "nesterov" in n else v
    return θ - (move if inside else lr * move), {"velocity": v}


def adam(θ: Any, g: Any, slots: Tensors, n: Tensors, s: Semantics) -> tuple[Any, Tensors]:
    """Adam: θ ← θ − lr·m̂ / (√v̂ + ε) with m̂ = m/(1−β₁ᵗ), v̂ = v/(1−β₂ᵗ).

    Kingma & Ba 2015, Algorithm 1. With ε `uncorrected`, as in the remark below it:
    θ ← θ − lr·√(1−β₂ᵗ)/(1−β₁ᵗ)·m / (√v + ε).
    """
    new_m, new_v = (tf.cast(1 - n[name], g.dtype) for name in ("beta1", "beta2"))
    m = slots["m"] + (g - slots["m"]) * new_m
    v = slots["v"] + (tf.square(g) - slots["v"]) * new_v
    powers = tf.float64 if s.beta_powers == "float64" else g.dtype
    β1, β2, lr, t = (tf.cast(n[name], powers) for name in ("beta1", "beta2", "lr", "t"))
    rate, root = lr / (1 - β1**t), tf.sqrt(1 - β2**t)
    if s.adam_eps_place == "corrected":
        below = tf.sqrt(v) / tf.cast(root, g.dtype) + s.adam_eps
    else:
        rate, below = rate * root, tf.sqrt(v) + s.adam_eps
    return θ - tf.cast(rate, g.dtype) * m / below, {"m": m, "v": v}


def rmsprop(θ: Any, g: Any, slots: Tensors, n: Tensors, s: Semantics) -> tuple[Any, Tensors]:
    """RMSprop (Tieleman & Hinton 2012): v ← ρ·v + (1−ρ)·g²; θ ← θ − lr·g / (√v + ε), or / √(v + ε)
    with ε `inside`."""
    ε, lr, new_v = s.rmsprop_eps, tf.cast(n["lr"], g.dtype), tf.cast(1 - n["rho"], g.dtype)
    v = slots["v"] + (tf.square(g) - slots["v"]) * new_v
    below = tf.sqrt(v + ε) if s.rmsprop_eps_place == "inside" else tf.sqrt(v) + ε
    return θ - lr * g / below, {"v": v}


UPDATE = {"sgd": sgd, "adam": adam, "rmsprop": rmsprop}


def decay(θ: Any, g: Any, n: Tensors, s: Semantics) -> tuple[Any, Any]:
    """Add λ·θ to the gradient (coupled), or subtract lr·λ·θ from the weights (decoupled;
    Loshchilov & Hutter 2019); return both."""
    if "weight_decay" not in n:
        return θ, g
    lr, λ = (tf.cast(n[name], g.dtype) for name in ("lr", "weight_decay"))
    return (θ, g + λ * θ) if s.weight_decay == "coupled" else (θ - lr * λ * θ, g)


def clip(g: Any, sizes: list[int], n: Tensors, s: Semantics) -> Any:
    """Clip each replica's gradient: g ← g·min(1, limit / (‖g‖ + ε)), with the norm over all of it
    or over each weight (Pascanu et al. 2013, Algorithm 1), or each entry to ±limit.

    `sizes` are the numbers of entries of the weights.
    """
    if "clip" not in n:
        return g
    limit = n["clip"]
    if s.clip_scope == "value":
        bound = tf.cast(limit, g.dtype)
        return tf.maximum(tf.minimum(g, bound), -bound)
    # In float64: squares overflow float32 just where clipping is needed.
    clipped = []
    for part in [g] if s.clip_scope == "global" else tf.split(g, sizes, axis=1):
        squares = tf.reduce_sum(tf.square(tf.cast(part, tf.float64)), axis=1, keepdims=True)
        norm = tf.sqrt(squares) + s.clip_eps
        # A norm that is not finite is not below the limit: the gradient does not become finite.
        factor = tf.where(norm <= limit, tf.ones_like(norm), limit / norm)
        clipped.append(part * tf.cast(factor, g.dtype))
    return tf.concat(clipped, axis=1)
