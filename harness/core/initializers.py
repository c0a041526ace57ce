"""Initial weights: each initialiser of `harness/core/semantics.py` as a NumPy draw.

    glorot_uniform   U(−a, a), a = √(6 / (fan_in + fan_out)); Glorot & Bengio 2010, equation 16
    lecun_normal     N(0, 1/fan_in) truncated at two standard deviations, the variance restored;
                     LeCun et al. 1998 with the truncation of JAX's initialiser
    uniform_units    U(−a, a), a = 1/√units, for every array, whatever its shape; PyTorch's rule
    orthogonal       a uniformly random matrix with orthonormal rows or columns; Saxe et al. 2014
    standard_normal  N(0, 1)
    zeros

Kernels of several gates are drawn fused, as one matrix, or gate by gate: Glorot's limit and
orthogonality depend on it.
"""

import math

import numpy as np

from harness.core.arrays import Array
from harness.core.model import GATES, ModelSpec, Params, Shape, shapes
from harness.core.random_streams import stream
from harness.core.semantics import Semantics

# Standard deviation of N(0, 1) truncated at ±2: √(1 − 4 φ(2) / P(|z| < 2)).
TRUNCATED_STD = math.sqrt(1 - 4 * math.exp(-2) / math.sqrt(2 * math.pi) / math.erf(math.sqrt(2)))


def initial_params(model: ModelSpec, semantics: Semantics, seeds: list[int], dtype: str) -> Params:
    """Draw each replica's weights from its own seed: arrays `(R, …)` of `dtype`.

    Weights are drawn in float64 and rounded once, so float32 and float64 runs start from the same
    numbers.
    """
    params: Params = {}
    for name, shape in shapes(model).items():
        drawn = np.stack(
            [_parameter(name, shape, model, semantics, stream(s, "weights", name)) for s in seeds]
        )
        if model.cell == "lstm" and name.startswith("rnn.") and name.endswith(".bias"):
            drawn[:, model.units : 2 * model.units] += semantics.forget_bias
        params[name] = drawn.astype(dtype)
    return params


def _parameter(
    name: str, shape: Shape, model: ModelSpec, semantics: Semantics, rng: np.random.Generator
) -> Array:
    """Draw one replica's array: a kernel in one piece or gate by gate, a bias in one piece."""
    rule = _rule(name, semantics)
    if name.startswith("head.") or name.endswith("bias") or semantics.init_gates == "fused":
        return _draw(rule, shape, model.units, rng)
    gates = GATES[model.cell]
    gate_shape = (shape[0], shape[1] // gates)
    return np.concatenate([_draw(rule, gate_shape, model.units, rng) for _ in range(gates)], axis=1)


def _rule(name: str, semantics: Semantics) -> str:
    if name.startswith("head."):
        return semantics.head_bias_init if name.endswith("bias") else semantics.head_kernel_init
    if name.endswith("recurrent_kernel"):
        return semantics.recurrent_init
    return semantics.bias_init if name.endswith("bias") else semantics.kernel_init


def _draw(rule: str, shape: Shape, units: int, rng: np.random.Generator) -> Array:
    if rule == "zeros":
        return np.zeros(shape)
    if rule == "standard_normal":
        return rng.standard_normal(shape)
    if rule == "orthogonal":
        return _orthogonal(shape, rng)
    if rule == "lecun_normal":
        return _truncated_normal(shape, rng) / (TRUNCATED_STD * math.sqrt(shape[0]))
    limit = math.sqrt(6 / (shape[0] + shape[-1])) if rule == "glorot_uniform" else units**-0.5
    return rng.uniform(-limit, limit, shape)


def _truncated_normal(shape: Shape, rng: np.random.Generator) -> Array:
    """Draw from N(0, 1) between −2 and 2; values outside are drawn again."""
    drawn = rng.standard_normal(shape)
    while (outside := np.abs(drawn) > 2).any():
        drawn[outside] = rng.standard_normal(np.count_nonzero(outside))
    return drawn


def _orthogonal(shape: Shape, rng: np.random.Generator) -> Array:
    """Draw Q of a Gaussian matrix's QR; R's signs make the draw uniform (Mezzadri 2007)."""
    rows, columns = shape[0], shape[-1]
    q, r = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
    q = q * np.sign(np.diag(r))
    return q.T if rows < columns else q
