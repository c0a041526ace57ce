"""Losses: the mean over a batch's real entries. TensorFlow takes the gradient.

mse: (o − y)². Binary cross-entropy of logits o with p = σ(o) has three forms (`semantics.bce`),
which differ where p saturates:

    logits       `tf.nn.sigmoid_cross_entropy_with_logits`
    clipped      from p kept within [1e-7, 1 − 1e-7], as on Keras' other engines; beyond, the
                 gradient is 0
    log_clamped  both logarithms at least −100, and the gradient's denominator at least 1e-12, as in
                 PyTorch's BCELoss
"""

from typing import Any

import numpy as np
import tensorflow as tf

from harness.core.losses import gives_logits

CLIPPED = 1e-7
CLAMPED, SMALLEST = -100.0, float(np.float32(1e-12))  # PyTorch's constant is a float32


def mean_loss(loss: str, form: str, outputs: Any, y: Any, mask: Any) -> Any:
    """Return each replica's mean loss `(R,)`: 0 for a batch of padding alone.

    `outputs` and `y` are `(R, B, O)`, or `(R, B, T, O)` with `mask` `(R, B, T)` or None.
    """
    terms = TERMS[form if gives_logits(loss) else "mse"](outputs, y)
    axes = list(range(1, len(terms.shape)))
    if mask is None:
        return tf.reduce_mean(terms, axes)
    real = tf.cast(mask, terms.dtype)[..., None]
    count = tf.reduce_sum(real, axes) * terms.shape[-1]
    return tf.reduce_sum(terms * real, axes) / tf.maximum(count, 1)


def squared_error(o: Any, y: Any) -> Any:
    """Squared error (o − y)²."""
    return tf.square(o - y)


def from_logits(o: Any, y: Any) -> Any:
    """Binary cross-entropy from logits."""
    return tf.nn.sigmoid_cross_entropy_with_logits(labels=y, logits=o)


@tf.custom_gradient
def probability(o: Any) -> Any:
    """Return σ(o) = 1 / (1 + e⁻ᵒ), rounded as PyTorch rounds it.

    Near 1, where log(1 − p) shows the last digit, `tf.sigmoid` rounds otherwise, and so does the
    quotient in float32, which TensorFlow's graph optimiser replaces. The gradient is p(1−p): the
    quotient's is NaN where e⁻ᵒ overflows.
    """
    below = tf.cast(1 + tf.exp(-o), tf.float64)
    p = tf.cast(1 / below, o.dtype)
    return p, lambda above: above * p * (1 - p)


def clipped(o: Any, y: Any) -> Any:
    """Binary cross-entropy with p within [1e-7, 1 − 1e-7].

    The bounds have the precision of `o`: float32 rounds 1 − 1e-7 to 1 − 1.19e-7.
    """
    p = tf.clip_by_value(probability(o), CLIPPED, 1 - CLIPPED)
    return -y * tf.math.log(p) - (1 - y) * tf.math.log(1 - p)


def log_clamped(o: Any, y: Any) -> Any:
    """Binary cross-entropy with logarithms of at least −100."""
    return _log_clamped(probability(o), y)


@tf.custom_gradient
def _log_clamped(p: Any, y: Any) -> Any:
    """Return the terms from p, with the gradient (p − y) / max(p(1−p), 1e-12) by p."""

    def gradient(above: Any) -> tuple[Any, None]:
        return above * (p - y) / tf.maximum(p * (1 - p), SMALLEST), None

    log_p = tf.maximum(tf.math.log(p), CLAMPED)
    log_q = tf.maximum(tf.math.log1p(-p), CLAMPED)
    return -y * log_p - (1 - y) * log_q, gradient


TERMS = {
    "mse": squared_error,
    "logits": from_logits,
    "clipped": clipped,
    "log_clamped": log_clamped,
}
