"""The network that every backend builds: its names, shapes, counts and initial weights.

A stack of recurrent layers with an optional dense head. Weights have canonical names and Keras'
layout, kernels `(in, out)`, gates side by side: LSTM i, f, c, o; GRU z, r, h with `reset_after`
and a bias of two rows (input side, recurrent side). Every weight array has a leading replica axis.
"""

import math
from dataclasses import dataclass

import numpy as np

from harness.semantics import Semantics
from harness.streams import stream

Array = np.ndarray
Params = dict[str, Array]
Shape = tuple[int, ...]

GATES = {"rnn": 1, "lstm": 4, "gru": 3}


@dataclass(frozen=True)
class ModelSpec:
    """The network's structure. `outputs` is the head's width, or `units` where there is no head."""

    cell: str
    features: int
    units: int
    layers: int
    activation: str
    returns: str
    head: str
    outputs: int

    @property
    def every_step(self) -> bool:
        return self.returns == "every_step"


def shapes(model: ModelSpec) -> dict[str, Shape]:
    """Canonical parameter names and their shapes, without the replica axis, in a fixed order."""
    wide = GATES[model.cell] * model.units
    result: dict[str, Shape] = {}
    for layer in range(model.layers):
        fan_in = model.features if layer == 0 else model.units
        result[f"rnn.{layer}.kernel"] = (fan_in, wide)
        result[f"rnn.{layer}.recurrent_kernel"] = (model.units, wide)
        result[f"rnn.{layer}.bias"] = (2, wide) if model.cell == "gru" else (wide,)
    if model.head == "dense":
        result["head.kernel"] = (model.units, model.outputs)
        result["head.bias"] = (model.outputs,)
    return result


def count(model: ModelSpec) -> int:
    """Trained parameters of one replica: 1,121 for a SimpleRNN of 32 units with one output."""
    return sum(math.prod(shape) for shape in shapes(model).values())


def formulas(model: ModelSpec) -> dict[str, str]:
    """How each parameter's count comes about, in words of the field: `"features × 4·units"`."""
    gates = GATES[model.cell]
    wide = "units" if gates == 1 else f"{gates}·units"
    result = {}
    for layer in range(model.layers):
        result[f"rnn.{layer}.kernel"] = f"{'features' if layer == 0 else 'units'} × {wide}"
        result[f"rnn.{layer}.recurrent_kernel"] = f"units × {wide}"
        result[f"rnn.{layer}.bias"] = f"2 × {wide}" if model.cell == "gru" else wide
    return result | {"head.kernel": "units × outputs", "head.bias": "outputs"}


def initial_params(model: ModelSpec, semantics: Semantics, seeds: list[int], dtype: str) -> Params:
    """Draw each replica's weights from its own seed: arrays `(R, …)` of `dtype`.

    They are drawn in float64 and rounded once, so float32 and float64 runs start from the same
    numbers.
    """
    params = {}
    for name, shape in shapes(model).items():
        rule = _rule(name, semantics)
        drawn = np.stack([_draw(rule, shape, stream(seed, "weights", name)) for seed in seeds])
        if model.cell == "lstm" and name.startswith("rnn.") and name.endswith(".bias"):
            drawn[:, model.units : 2 * model.units] += semantics.forget_bias
        params[name] = drawn.astype(dtype)
    return params


def _rule(name: str, semantics: Semantics) -> str:
    if name.startswith("head."):
        return semantics.head_bias_init if name.endswith("bias") else semantics.head_kernel_init
    if name.endswith("recurrent_kernel"):
        return semantics.recurrent_init
    return semantics.bias_init if name.endswith("bias") else semantics.kernel_init


def _draw(rule: str, shape: Shape, rng: np.random.Generator) -> Array:
    if rule == "zeros":
        return np.zeros(shape)
    if rule == "standard_normal":
        return rng.standard_normal(shape)
    return _glorot_uniform(shape, rng) if rule == "glorot_uniform" else _orthogonal(shape, rng)


def _glorot_uniform(shape: Shape, rng: np.random.Generator) -> Array:
    """U(-a, a) with a = √(6 / (fan_in + fan_out)); Glorot & Bengio 2010, equation 16."""
    fan_in, fan_out = shape[0], shape[-1]
    limit = math.sqrt(6 / (fan_in + fan_out))
    return rng.uniform(-limit, limit, shape)


def _orthogonal(shape: Shape, rng: np.random.Generator) -> Array:
    """A uniformly random matrix with orthonormal rows or columns; Saxe et al. 2014.

    QR of a Gaussian matrix; the signs of R's diagonal make the draw uniform (Mezzadri 2007).
    """
    rows, columns = shape[0], shape[-1]
    q, r = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
    q = q * np.sign(np.diag(r))
    return (q.T if rows < columns else q).reshape(shape)
