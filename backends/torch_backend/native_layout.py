"""Weights in the memory layout of PyTorch's layers, so that no step has to copy them into it.

Kernels are `(out, in)`, and a GRU's gates are in the order r, z, n. Names and sizes stay canonical,
so an update rule, which works on single entries or on whole weights, need not know the layout.
"""

import numpy as np

from harness.core.arrays import Array
from harness.core.layer_weights import per_gate
from harness.core.model import GATES, ModelSpec, Params, shapes

SWAPPED = [1, 0, 2]  # z, r, h as r, z, n, and back


def to_native(params: Params, model: ModelSpec) -> Params:
    """Return canonical arrays `(R, …)` in PyTorch's layout: kernels `(R, out, in)`."""
    return {name: _transposed(name, _regated(name, w, model)) for name, w in params.items()}


def to_canonical(params: Params, model: ModelSpec) -> Params:
    """Return arrays of canonical shapes, whose memory is in PyTorch's layout, as canonical ones."""
    canonical = {}
    for name, shape in shapes(model).items():
        native = params[name].reshape(-1, *(shape[::-1] if _is_kernel(name) else shape))
        canonical[name] = _regated(name, _transposed(name, native), model)
    return canonical


def _is_kernel(name: str) -> bool:
    return name.endswith("kernel")


def _transposed(name: str, w: Array) -> Array:
    return np.ascontiguousarray(w.swapaxes(1, 2)) if _is_kernel(name) else w


def _regated(name: str, w: Array, model: ModelSpec) -> Array:
    """Swap the gates z and r of a GRU, on the last axis; its own inverse."""
    has_gates = name.startswith("rnn.") and w.shape[-1] == GATES["gru"] * model.units
    return per_gate(w, SWAPPED) if model.cell == "gru" and has_gates else w
