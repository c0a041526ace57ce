"""Losses of one replica: the mean over a batch's real entries. JAX differentiates them, except
where the stated gradient is not that of the formula.

Binary cross-entropy from logits o, with p = σ(o), has the three forms of `semantics.bce`.
"""

import jax
import jax.numpy as jnp
import numpy as np

from harness.core.losses import gives_logits

Array = jax.Array

CLIPPED = 1e-7
CLAMPED, SMALLEST = -100.0, float(np.float32(1e-12))  # PyTorch's constant is a float32


def mean_loss(loss: str, form: str, outputs: Array, y: Array, mask: Array | None) -> Array:
    """A scalar. `outputs` and `y` are `(B, O)`, or `(B, T, O)` with `mask` `(B, T)` or None."""
    terms = TERMS[form if gives_logits(loss) else "mse"](outputs, y)
    if mask is None:
        return terms.mean()
    real = jnp.broadcast_to(mask[..., None], terms.shape)
    return terms.sum(where=real) / jnp.maximum(real.sum(dtype=terms.dtype), 1)


def squared_error(o: Array, y: Array) -> Array:
    """Return (o − y)²."""
    return (o - y) ** 2


def from_logits(o: Array, y: Array) -> Array:
    """−y log σ(o) − (1−y) log σ(−o). The usual max(o, 0) − o·y + log(1 + e^−|o|) is equal, but JAX
    would differentiate it as −y at o = 0, where |o| and max(o, 0) have a kink each."""
    return -y * jax.nn.log_sigmoid(o) - (1 - y) * jax.nn.log_sigmoid(-o)


def clipped(o: Array, y: Array) -> Array:
    """−y log p̂ − (1−y) log(1−p̂) with p̂ = p kept within [1e-7, 1 − 1e-7], bounds included; beyond
    them the gradient is 0. At a bound `jnp.clip` would halve it."""
    p = jax.nn.sigmoid(o)
    low, high = (jnp.asarray(bound, p.dtype) for bound in (CLIPPED, 1 - CLIPPED))
    kept = jnp.where(p < low, low, jnp.where(p > high, high, p))
    return -y * jnp.log(kept) - (1 - y) * jnp.log(1 - kept)


@jax.custom_jvp
def clamped_logarithms(p: Array, y: Array) -> Array:
    """−y log p − (1−y) log(1−p), both logarithms at least −100."""
    log_p, log_q = (jnp.maximum(each, CLAMPED) for each in (jnp.log(p), jnp.log1p(-p)))
    return -y * log_p - (1 - y) * log_q


@clamped_logarithms.defjvp
def _(primals, tangents):
    """(p − y) / max(p(1−p), 1e-12), as PyTorch's BCELoss; nothing is differentiated by y."""
    p, y = primals
    slope = (p - y) / jnp.maximum(p * (1 - p), SMALLEST)
    return clamped_logarithms(p, y), slope * tangents[0]


def log_clamped(o: Array, y: Array) -> Array:
    """Return the cross-entropy of a logit, with logarithms clamped from below."""
    return clamped_logarithms(jax.nn.sigmoid(o), y)


TERMS = {
    "mse": squared_error,
    "logits": from_logits,
    "clipped": clipped,
    "log_clamped": log_clamped,
}
