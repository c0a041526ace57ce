"""A tensor that was never copied: it has the distribution of an initialiser.

After training a tensor may still look as it was drawn, so it must have nothing in common with A's
tensor, either: neither are numbers in the same places correlated, nor are they A's numbers in other
places. A few numbers look like any distribution: `LEAST` are needed, unless all are exact.
"""

import math

import numpy as np
from scipy import stats  # pyright: ignore[reportMissingTypeStubs]

from harness.core.arrays import Array
from harness.core.initializers import TRUNCATED_STD
from harness.core.model import ModelSpec
from harness.diff.mistakes import Mistake, gate_blocks
from harness.diff.tensors import kind_of

LEAST = 20  # numbers
PROBABILITY = 0.01  # of so bad a fit by chance, by Kolmogorov and Smirnov
CORRELATION = 5.0  # standard errors


def uncopied(name: str, a: Array, b: Array, model: ModelSpec) -> Mistake | None:
    """Return the mistake that B's tensor is as it was initialised, or None.

    `a` and `b` are acting tensors.
    """
    if not np.isfinite(a).all() or not np.isfinite(b).all() or not a.any():
        return None
    found = [] if _have_in_common(a, b) else _initialisers(name, b, model)
    if not found or np.allclose(np.sort(a, axis=None), np.sort(b, axis=None), rtol=1e-3):
        return None
    phrase = f"{name} not copied: it is as initialised ({' or '.join(found)})"
    return Mistake(phrase, f"copy {name}")


def _have_in_common(a: Array, b: Array) -> bool:
    """Return whether numbers in the same places are correlated."""
    if a.std() == 0 or b.std() == 0 or a.size < LEAST:
        return False
    return bool(abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) > CORRELATION / math.sqrt(a.size))


def _initialisers(name: str, b: Array, model: ModelSpec) -> list[str]:
    """Return the names of the initialisers that may have drawn `b`."""
    if kind_of(name) in ("bias", "head.bias"):
        return _of_bias(name, b, model)
    found = [] if b.any() else ["zeros"]
    for form, parts in (("", [b]), (" by gate", gate_blocks(b, model))):
        if form and len(parts) == 1:
            continue
        rows, columns = parts[0].shape
        limit = math.sqrt(6 / (rows + columns))
        found += [f"glorot_uniform{form}"] * _uniform(b, limit)
        found += [f"orthogonal{form}"] * all(map(_orthogonal, parts))
    found += ["lecun_normal"] * _truncated_normal(b, 1 / math.sqrt(b.shape[0]))
    found += ["uniform_units"] * _uniform(b, model.units**-0.5)
    return found + ["standard_normal"] * _follows(b, stats.norm())


def _of_bias(name: str, b: Array, model: ModelSpec) -> list[str]:
    forms = [("", b)]
    if model.cell == "lstm" and name != "head.bias":
        one = np.zeros_like(b)
        one[model.units : 2 * model.units] = 1
        forms.append((" and the forget gate's 1", b - one))
    found = []
    for form, values in forms:
        found += [f"zeros{form}"] * (not values.any())
        found += [f"uniform_units{form}"] * _uniform(values, model.units**-0.5)
        found += [f"standard_normal{form}"] * _follows(values, stats.norm())
    return found


def _uniform(b: Array, limit: float) -> bool:
    """Return whether `b` may be drawn from U(−limit, limit)."""
    return bool(np.abs(b).max() <= limit) and _follows(b, stats.uniform(-limit, 2 * limit))


def _truncated_normal(b: Array, std: float) -> bool:
    scale = std / TRUNCATED_STD
    inside = bool(np.abs(b).max() <= 2 * scale * (1 + 1e-6))
    return inside and _follows(b, stats.truncnorm(-2, 2, scale=scale))


def _follows(b: Array, distribution: object) -> bool:
    """Return whether numbers may be drawn from a distribution of SciPy."""
    if b.size < LEAST:
        return False
    values = b.ravel()[:: max(1, b.size // 20_000)]  # enough to tell all initialisers apart
    return bool(stats.kstest(values, distribution.cdf).pvalue > PROBABILITY)  # pyright: ignore


def _orthogonal(part: Array) -> bool:
    """Return whether rows or columns are orthonormal, as far as float32 has digits."""
    if min(part.shape) < 2:
        return bool(part.size >= LEAST and abs(np.linalg.norm(part) - 1) < 1e-5)
    wide = part if part.shape[0] <= part.shape[1] else part.T
    return bool(np.abs(wide @ wide.T - np.eye(len(wide))).max() < 1e-5)
