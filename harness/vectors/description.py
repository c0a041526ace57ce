"""The `.json` of a case: every array, and the rules that its numbers follow."""

import json
import re
from typing import Any

import numpy as np

from harness.core.arrays import Array
from harness.core.tolerances import LIMITS
from harness.tracking.provenance import versions
from harness.vectors.cases import FEATURES, NETWORKS, SAMPLES, UNITS, Case
from harness.vectors.conventions import (
    CONVENTIONS,
    EQUATIONS,
    GATES,
    ONE_BIAS,
    PADDING,
    TWO_BIASES,
    meaning,
)
from harness.vectors.optimizers import RULES, STEPS

FORMAT = 1
LIST = re.compile(r"\[\s+([^\[\]{}]*)\]")  # of numbers or words, which is put on one line
# Of the float32 models against the float64 numbers; 5.0e-7 was measured.
ONNX_LIMIT = LIMITS["float32"].forward


def description(case: Case, arrays: dict[str, Array], onnx: bool) -> str:
    """Return the text of the file."""
    facts: dict[str, Any] = {
        "format": FORMAT,
        "name": case.name,
        "files": {"arrays": f"{case.name}.npz"} | ({"model": f"{case.name}.onnx"} if onnx else {}),
        "precision": "float64",
        "network": network(case),
        "sizes": {"N": SAMPLES, "T": case.steps, "F": FEATURES, "U": UNITS},
        "conventions": CONVENTIONS | (PADDING if case.ragged else {}),
        "optimizers": {name: _optimizer(name) for name in RULES},
        "limits": limits(),
        "arrays": [_array(name, value, case) for name, value in arrays.items()],
        "made_with": {"python": versions()["version.python"], "numpy": np.__version__},
    }
    if onnx:
        facts["model"] = model(case)
    text = json.dumps(facts, indent=1, ensure_ascii=False)
    return LIST.sub(lambda match: f"[{' '.join(match[1].split())}]", text) + "\n"


def network(case: Case) -> dict[str, Any]:
    """Return the facts about the network: cell, layers, equations with their source, biases."""
    spec, (equations, source) = case.model, EQUATIONS[case.network]
    cell, _, reset = NETWORKS[case.network]
    facts: dict[str, Any] = {"cell": cell, "layers": spec.layers, "activation": spec.activation}
    if cell == "gru":
        facts["reset_gate"] = reset
    texts = TWO_BIASES if case.biases == "two_biases" else ONE_BIAS
    return facts | {
        "gates": GATES[cell],
        "equations": equations,
        "source": source,
        "weights": "W is kernel, U recurrent_kernel",
        "biases": texts[cell],
    }


def limits() -> dict[str, Any]:
    """Return the relative errors within which a correct implementation in float64 is."""
    tolerances = LIMITS["float64"]
    return {
        "relative to": "the largest entry of the array here",
        "outputs, loss": tolerances.forward,
        "gradients": tolerances.gradient,
        "losses and weights of the optimisers": tolerances.losses,
    }


def model(case: Case) -> dict[str, Any]:
    """Return the facts about the `.onnx`: inputs, outputs, precision and limit."""
    inputs = {"x": "(N, T, F) float32"}
    if case.ragged:
        inputs["lengths"] = "(N,) int32"
    return {
        "inputs": inputs,
        "outputs": {"y": "(N, T, U) float32" + ("; 0 at padding" if case.ragged else "")},
        "precision": "float32, as runtimes have no other: weights are rounded",
        "limit": ONNX_LIMIT,
    }


def _optimizer(name: str) -> dict[str, Any]:
    rule = RULES[name]
    return {
        "steps": STEPS,
        "lr": rule.lr,
        **rule.numbers,
        "rule": f"{rule.formula}; g is the gradient",
        "source": rule.source,
    }


def _array(name: str, value: Array, case: Case) -> dict[str, Any]:
    axes, text = meaning(name, case)
    shape, dtype = list(np.shape(value)), np.asarray(value).dtype.name
    return {"name": name, "shape": shape, "dtype": dtype, "axes": axes, "meaning": text}
