"""What comes nearest to B's weights where no known mistake explains them."""

from dataclasses import dataclass
from itertools import permutations

import numpy as np

from harness.core.arrays import Array
from harness.core.layer_weights import per_gate
from harness.core.model import GATES
from harness.diff.mistakes import Mistake, mistakes
from harness.diff.orders import in_order
from harness.diff.tensors import acting, kind_of
from harness.diff.weight_search import WeightSearch

WORTH_NAMING = 0.5  # of the distance of A itself


@dataclass(frozen=True)
class Nearest:
    """A, or A with one mistake, and how far B's weights are from it."""

    mistake: Mistake | None
    distance: float  # root mean square of the difference, as a share of that of B's weights
    of_a: float  # the distance of A itself


def nearest(search: WeightSearch) -> Nearest:
    """Return the mistake that, made wherever it helps, comes nearest; None if A itself is as near.

    Only mistakes made alone are tried.
    """
    size = sum(float(np.square(b).sum()) for b in search.b.values()) or 1.0
    plain = {name: _apart(search, name, a) for name, a in search.a.items()}
    of_a = float(np.sqrt(sum(plain.values()) / size))
    best = Nearest(None, of_a, of_a)
    for mistake, changed in _tried(search):
        left = sum(min(plain[n], changed.get(n, np.inf)) for n in plain)
        distance = float(np.sqrt(left / size))
        if distance < min(best.distance, WORTH_NAMING * of_a):
            best = Nearest(mistake, distance, of_a)
    return best


def _apart(search: WeightSearch, name: str, tensor: Array) -> float:
    """Return the sum of squared differences between a tensor of A, changed or not, and B's."""
    return float(np.square(acting(name, tensor, search.model) - search.b[name]).sum())


def _tried(search: WeightSearch) -> list[tuple[Mistake, dict[str, float]]]:
    """Return each mistake with the squared differences that it leaves in the tensors it changes."""
    model, found = search.model, []
    for mistake in mistakes(model, search.precision):
        assert mistake.change is not None
        changed = {
            name: mistake.change(a, model)
            for name, a in search.a.items()
            if kind_of(name) in mistake.kinds
        }
        left = {n: _apart(search, n, value) for n, value in changed.items() if value is not None}
        found.append((mistake, left))
    for order in permutations(range(GATES[model.cell])):
        left = {
            name: _apart(search, name, per_gate(a, list(order)))
            for name, a in search.a.items()
            if not name.startswith("head.")
        }
        found.append((in_order(model, order), left))
    return found
