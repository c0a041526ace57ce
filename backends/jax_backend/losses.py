"""Losses of one replica: the mean over a batch's real entries. JAX takes the gradient.

mse: (o − y)². Binary cross-entropy of logits o with p = σ(o) has three forms (`semantics.bce`),
which differ where p saturates:

    logits       −y log σ(o) − (1−y) log σ(−o)
    clipped      from p kept within [1e-7, 1 − 1e-7], as on Keras' other engines; beyond, the
                 gradient is 0
    log_clamped  both logarithms at least −100, and the gradient's denominator at least 1e-12, as in
                 PyTorch's BCELoss: not the gradient of the formula, so it is stated
"""

import jax
import jax.numpy as jnp
import numpy as np

from harness.core.losses import gives_logits

Array = jax.Array

CLIPPED = 1e-7
CLAMPED, SMALLEST = -100.0, float(np.float32(1e-12))  # PyTorch's constant is a float32


def mean_loss(loss: str, form: str, outputs: Array, y: Array, mask: Array | None) -> Array:
    """Return the replica's mean loss, a scalar.

    `outputs` and `y` are `(B, O)`, or `(B, T, O)` with `mask` `(B, T)` or None.
    """
    terms = TERMS[form if gives_logits(loss) else "mse"](outputs, y)
    if mask is None:
        return terms.mean()
    real = jnp.broadcast_to(mask[..., None], terms.shape)
    return terms.sum(where=real) / jnp.maximum(real.sum(dtype=terms.dtype), 1)


def squared_error(o: Array, y: Array) -> Array:
    """Squared error (o − y)²."""
    return (o - y) ** 2


def from_logits(o: Array, y: Array) -> Array:
    """Binary cross-entropy from logits.

    The usual max(o, 0) − o·y + log(1 + e^−|o|) is equal, but JAX would differentiate it as −y at
    o = 0, where |o| and max(o, 0) have a kink each.
    """
    return -y * jax.nn.log_sigmoid(o) - (1 - y) * jax.nn.log_sigmoid(-o)


def clipped(o: Array, y: Array) -> Array:
    """Binary cross-entropy with p within [1e-7, 1 − 1e-7], bounds included.

    Beyond the bounds the gradient is 0; at a bound `jnp.clip` would halve it. The bounds have the
    precision of `o`: float32 rounds 1 − 1e-7 to 1 − 1.19e-7.
    """
    p = jax.nn.sigmoid(o)
    low, high = (jnp.asarray(bound, p.dtype) for bound in (CLIPPED, 1 - CLIPPED))
    bounded = jnp.where(p < low, low, jnp.where(p > high, high, p))
    return -y * jnp.log(bounded) - (1 - y) * jnp.log(1 - bounded)


@jax.custom_jvp
def clamped_logarithms(p: Array, y: Array) -> Array:
    """Return −y log p − (1−y) log(1−p), both logarithms at least −100."""
    log_p, log_q = (jnp.maximum(log, CLAMPED) for log in (jnp.log(p), jnp.log1p(-p)))
    return -y * log_p - (1 - y) * log_q


@clamped_logarithms.defjvp
def _(primals, tangents):
    """Gradient (p − y) / max(p(1−p), 1e-12) by p, as in PyTorch's BCELoss; none by y."""
    p, y = primals
    slope = (p - y) / jnp.maximum(p * (1 - p), SMALLEST)
    return clamped_logarithms(p, y), slope * tangents[0]


def log_clamped(o: Array, y: Array) -> Array:
    """Binary cross-entropy with logarithms of at least −100."""
    return clamped_logarithms(jax.nn.sigmoid(o), y)


TERMS = {
    "mse": squared_error,
    "logits": from_logits,
    "clipped": clipped,
    "log_clamped": log_clamped,
}
