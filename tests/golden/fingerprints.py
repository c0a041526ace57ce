"""Numbers in few words, and whether they are still the same.

Whole numbers and what comes from them without rounding (batch orders, masks, raw draws) are kept as
digests. Other libraries for linear algebra, and other processors, round otherwise in the last bits:
of floating-point arrays two sums are kept, in which every entry has a weight by its position.
"""

import hashlib
import json
import math
from typing import Any

import numpy as np

from backends import Array

# Measured with OpenBLAS' kernels for Prescott, Nehalem, Sandy Bridge, Haswell and Zen, and with
# NumPy's own loops with and without AVX2 and FMA: sums differ by up to 2e-16, losses by up to
# 6e-14.
TOLERANCE = 1e-12


def fingerprint(array: Array) -> dict[str, Any]:
    """Type, shape and either a digest or two sums: of the entries, and of their magnitudes, each
    times a weight between 1/2 and 3/2 that no other entry has. NaN counts as 12345."""
    found: dict[str, Any] = {"of": f"{array.dtype} {'×'.join(map(str, array.shape))}"}
    if array.dtype.kind != "f":
        return found | {"digest": digest(array)}
    weights = 0.5 + np.arange(array.size) * 2654435761 % 2**32 / 2**32
    terms = weights * np.where(np.isnan(array), 12345.0, array).ravel()
    return found | {"sum": math.fsum(terms), "size": math.fsum(np.abs(terms))}


def digest(array: Array) -> str:
    """Of numbers that are exact on every machine."""
    plain = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return hashlib.sha256(repr(plain.shape).encode() + plain.tobytes()).hexdigest()[:16]


def differences(expected: Any, found: Any, path: str = "") -> list[str]:
    """The paths of all numbers that are not what they were."""
    if isinstance(expected, dict) and isinstance(found, dict):
        if expected.keys() == found.keys() == {"of", "sum", "size"}:
            near = abs(expected["sum"] - found["sum"]) <= TOLERANCE * expected["size"]
            same = near and close(expected["size"], found["size"]) and expected["of"] == found["of"]
            return [] if same else [path]
        keys = sorted(expected.keys() | found.keys())
        missing = [f"{path}/{k}" for k in keys if k not in expected or k not in found]
        shared = [k for k in keys if f"{path}/{k}" not in missing]
        within = [d for k in shared for d in differences(expected[k], found[k], f"{path}/{k}")]
        return sorted(missing + within)
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        pairs = enumerate(zip(expected, found, strict=True))
        return [d for i, (a, b) in pairs for d in differences(a, b, f"{path}/{i}")]
    if isinstance(expected, float) and isinstance(found, float):
        return [] if close(expected, found) else [path]
    return [] if expected == found else [path]


def close(expected: float, found: float) -> bool:
    return abs(expected - found) <= TOLERANCE * abs(expected)


def text(numbers: Any, depth: int = 0) -> str:
    """JSON with a line for each array and each list."""
    nested = isinstance(numbers, dict) and any(isinstance(v, dict | list) for v in numbers.values())
    if not nested:
        return json.dumps(numbers, ensure_ascii=False)
    indent = " " * (depth + 1)
    lines = [f"{indent}{json.dumps(k)}: {text(v, depth + 1)}" for k, v in numbers.items()]
    return "{\n" + ",\n".join(lines) + f"\n{' ' * depth}" + "}"
