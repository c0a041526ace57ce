"""The gap of two recorded trainings at every step, and each setting's Shapley part in it.

The game's value is the loss of each step, with A's initial weights, samples and order, trained by
NumPy. A setting's part in a mean over steps is the mean of its parts.
"""

from dataclasses import dataclass

import numpy as np

from harness.core.arrays import Array
from harness.core.errors import Diverged
from harness.identify.candidates import Rules
from harness.identify.case import Case
from harness.identify.replay import losses
from harness.why.recorded.settings import Sides
from harness.why.shapley import Design, Values, estimate

LAST = 5  # the share of the steps that count as the end: one fifth


@dataclass(frozen=True, kw_only=True)
class Gap:
    """Losses of both recordings and of their rules on A's data, and the settings' parts."""

    a: Array  # (S,) recorded
    b: Array
    explained_a: Array  # (S,) by A's rules on A's weights, samples and order
    explained_b: Array  # (S,) by B's rules on the same
    parts: Array  # (n, S)
    method: str

    @property
    def measures(self) -> dict[str, slice]:
        """The steps over which losses are averaged, by the measure's name."""
        S = len(self.a)
        last = max(S // LAST, 1)
        return {f"loss of the last {last:,} steps": slice(S - last, S), "mean loss": slice(0, S)}


def find_gap(sides: Sides, recorded_b: Array, design: Design) -> Gap:
    """Train all coalitions of the design. Raises `Diverged`, which names what was switched."""
    values = _values(sides, design.coalitions)
    S, full = len(sides.case.losses), 2**design.players - 1
    parts = estimate(design, values).replicas if sides.players else np.zeros((0, S))
    return Gap(
        a=sides.case.losses,
        b=recorded_b[:S],
        explained_a=values[0],
        explained_b=values[full],
        parts=parts,
        method=design.method,
    )


def _values(sides: Sides, masks: list[int]) -> Values:
    """Return the losses `(S,)` of each coalition; those with one case are trained together."""
    groups: dict[tuple[bytes, str, bool], list[tuple[int, Case, Rules]]] = {}
    for mask in masks:
        case, rules = sides.coalition(mask)
        kind = (case.lr.tobytes(), case.precision, case.rounded)
        groups.setdefault(kind, []).append((mask, case, rules))
    values: Values = {}
    for members in groups.values():
        case = members[0][1]
        curves = losses(case, [rules for _, _, rules in members], len(case.losses))
        values |= {mask: curve for (mask, _, _), curve in zip(members, curves.T, strict=True)}
    for mask, curve in values.items():
        if not np.isfinite(curve).all():
            names = ", ".join(p.name for n, p in enumerate(sides.players) if mask >> n & 1)
            step = int(np.argmin(np.isfinite(curve))) + 1
            raise Diverged(f"with A's settings and B's {names}: loss not finite at step {step}")
    return values
