"""The settings in which two identified trainings differ, each with both values.

What a recording does not show is no difference: it takes the other's value, as long as its losses
still come out.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.core.errors import ConfigError
from harness.identify.candidates import VALUES, Rules, idle, possible
from harness.identify.case import Case
from harness.identify.identified import Identified
from harness.identify.judge import judged
from harness.identify.replay import losses
from harness.why.players import Player, format_value

FIELDS = {
    "optimizer.lr": "lr",
    "precision": "precision",
    "float32 rounding": "rounded",
}  # of a case
ALIKE = ("model.returns", "loss")  # without which losses cannot be compared


@dataclass(frozen=True, kw_only=True)
class Sides:
    """A's training, B's rules and fields in place of some of A's, and the settings that differ."""

    case: Case  # A's: its weights, samples and order, as many steps as both have
    other: Case  # the same with B's learning rates and precision
    a: Rules
    b: Rules
    players: list[Player]
    impossible: list[Player]  # that A's weights cannot have

    def coalition(self, mask: int) -> tuple[Case, Rules]:
        """Return A's training with the settings in `mask` switched to B's."""
        keys = [k for n, player in enumerate(self.players) if mask >> n & 1 for k in player.keys]
        fields = {FIELDS[key]: getattr(self.other, FIELDS[key]) for key in keys if key in FIELDS}
        rules = {key: self.b[key] for key in keys if key not in FIELDS}
        return replace(self.case, **fields), self.a | rules


def sides(a: Identified, b: Identified) -> Sides:
    """Return both sides. Raises `ConfigError` where their losses cannot be compared."""
    for key in ALIKE:
        one, other = a.found.rules[key], b.found.rules[key]
        if one != other:
            raise ConfigError(
                f"{key}: {one} in A, {other} in B: their losses cannot be compared; name two "
                "trainings with one."
            )
    rules_a, rules_b = _unified(a, b), _unified(b, a)
    shared = {key: rules_a[key] for key in rules_a if rules_a[key] == b.found.rules[key]}
    rules_b = {key: shared.get(key, value) for key, value in rules_b.items()}
    steps = min(len(a.whole.losses), len(b.whole.losses))
    case = a.whole.shortened(steps)
    fields = {name: getattr(b.whole, name) for name in FIELDS.values()}
    other = replace(case, **(fields | {"lr": b.whole.lr[:steps]}))
    players, impossible = [], []
    for player in _players(case, other, rules_a, rules_b):
        changed = rules_a | {key: rules_b[key] for key in player.keys if key not in FIELDS}
        (players if possible(changed, case) else impossible).append(player)
    return Sides(
        case=case, other=other, a=rules_a, b=rules_b, players=players, impossible=impossible
    )


def _unified(side: Identified, other: Identified) -> Rules:
    """Return a side's rules, with the other's values where its own recording shows nothing."""
    own, theirs = side.found.rules, other.found.rules
    unseen = {key: theirs[key] for key in VALUES if idle(key, own, side.case)}
    verdicts = {verdict.key: verdict for verdict in side.verdicts}
    open_to = {
        key: theirs[key]
        for key, verdict in verdicts.items()
        if key in VALUES and theirs[key] in verdict.also
    }
    every = own | unseen | open_to
    curve = losses(side.case, [every], len(side.case.losses))[:, 0]
    return every if judged(side.case, curve, side.found.bands).fits else own | unseen


def _players(case: Case, other: Case, a: Rules, b: Rules) -> list[Player]:
    """Return the settings that differ; with another optimiser its numbers are others, too."""
    differing = {key: (a[key], b[key]) for key in VALUES if a[key] != b[key]}
    for key, name in FIELDS.items():
        pair = getattr(case, name), getattr(other, name)
        if not np.array_equal(*pair):
            differing[key] = pair
    together = "optimizer" in differing
    groups: dict[str, list[str]] = {}
    for key in differing:
        kind = key.partition(".")[0] if together and key.startswith("optimizer") else key
        groups.setdefault(kind, []).append(key)
    return [
        Player(tuple(keys), *(", ".join(_shown(differing[k][n]) for k in keys) for n in (0, 1)))
        for keys in groups.values()
    ]


def _shown(value: Any) -> str:
    if not isinstance(value, np.ndarray):
        return format_value(value)
    first, last = (format(float(value[n]), "g") for n in (0, -1))
    return first if (value == value[0]).all() else f"{first} … {last}"
