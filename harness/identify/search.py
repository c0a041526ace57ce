"""Find rules under which the recorded losses come out, by changes to the best candidates so far.

What a program states comes first, then the presets. The first loss is before any update, so it
decides the network's form and the loss. Then single settings are changed, and pairs of them where
no single change helps; candidates that are worse in the first steps than all of these are given up.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from harness.core.arrays import Array
from harness.identify.candidates import Rules, changes, idle, possible
from harness.identify.case import Case
from harness.identify.forms import first_forms
from harness.identify.judge import LEAST, Judged, approached, bands, count_judged, judged
from harness.identify.price import Budget
from harness.identify.replay import losses
from harness.parity.control_band import BAND_RUNS

FEW = 6  # steps after which a candidate is given up that is worse than the rest
ROUNDS = 12  # of changes: more than any program differs from its preset
WIDTH = 3  # candidates beside the best whose changes are tried
PAIRS = 2  # rounds of pairs, which take long
BETTER = 0.005  # the least by which a change must bring the losses nearer: a gap smaller by a fifth
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Found:
    """The best candidate, and the band by which it was judged."""

    rules: Rules
    bands: Array  # (S,)
    judged: Judged
    distance: float  # from the recorded losses

    @property
    def fits(self) -> bool:
        """Whether the recorded losses come out."""
        return self.judged.fits and count_judged(self.bands) >= min(LEAST, len(self.bands))


@dataclass(frozen=True, kw_only=True)
class Beam:
    """The best candidate so far, and others near it from which changes are tried, too."""

    best: Found
    others: list[Rules]
    start: Rules  # the likeliest, which always stays: a near candidate may be a blind alley

    @property
    def members(self) -> list[Rules]:
        """All candidates, the best first and the start last."""
        return [self.best.rules, *self.others, self.start]


def search(case: Case, starts: Sequence[Rules], say: Say, budget: Budget | None = None) -> Found:
    """Return the first candidate that fits, or else the nearest that `budget` allows to try."""
    budget = budget or Budget()
    begun = [rules | form for form in first_forms(case, starts) for rules in starts]
    begun = [rules for rules in begun if possible(rules, case)]
    names = dict.fromkeys(rules["optimizer"] for rules in begun)
    beams = [_first_beam(case, begun, name, budget) for name in names]
    beams.sort(key=lambda beam: beam.best.distance)
    best = beams[0].best
    if best.judged.parts_at == 1 and not best.fits:
        return best  # no rule of an update changes the first loss
    ends: list[Found] = []
    for beam in beams:
        ends.append(_climb(case, beam, say, budget))
        if ends[-1].fits:
            return ends[-1]
    return min(ends, key=lambda found: found.distance)


def _first_beam(case: Case, begun: Sequence[Rules], optimizer: str, budget: Budget) -> Beam:
    """Return the likeliest start with an optimiser, and those that are nearest."""
    group = [rules for rules in begun if rules["optimizer"] == optimizer]
    beam = Beam(best=_measured(case, group[0], budget), others=[], start=group[0])
    if beam.best.fits:
        return beam
    return _nearest(case, f"presets of {optimizer}", group, beam, budget)


def _climb(case: Case, beam: Beam, say: Say, budget: Budget) -> Found:
    """Return the candidate to which changes lead that each bring the losses nearer.

    The optimiser stays: each has a search of its own.
    """
    pairs_left, name = PAIRS, beam.best.rules["optimizer"]
    for _ in range(ROUNDS):
        if beam.best.fits:
            return beam.best
        members = beam.members
        singles = [_singles(rules, case) for rules in members]
        single = [rules for each in singles for _, rules in each]
        nearer = _nearest(case, f"single changes of {name}", single, beam, budget)
        if nearer.best is beam.best and pairs_left:
            pairs_left -= 1
            pairs = [pair for n in (0, -1) for pair in _pairs(case, members[n], singles[n])]
            say(f"No single change of {name} helps: {len(pairs):,} pairs of changes are next.")
            nearer = _nearest(case, f"pairs of changes of {name}", pairs, beam, budget)
        if nearer.best is beam.best:
            return beam.best
        beam = nearer
    return beam.best


def _singles(rules: Rules, case: Case) -> list[tuple[str, Rules]]:
    return [(key, changed) for key, changed in changes(rules, case) if key != "optimizer"]


def _pairs(case: Case, rules: Rules, singles: list[tuple[str, Rules]]) -> list[Rules]:
    """Return all candidates that differ in two settings, the second one possibly idle before."""
    found: list[Rules] = []
    for (first, one), (second, other) in combinations(singles, 2):
        if first != second:
            found.append(one | {second: other[second]})
    for key, one in singles:
        woken = [(k, c) for k, c in changes(one, case) if idle(k, rules, case) and k != key]
        found += [changed for _, changed in woken]
    return [changed for changed in found if possible(changed, case)]


def _measured(case: Case, rules: Rules, budget: Budget) -> Found:
    S = len(case.losses)
    budget.spend(BAND_RUNS + 1, S)
    band, curve = bands(case, rules, S), losses(case, [rules], S)[:, 0]
    distance = approached(case, curve, band).distance
    return Found(rules=rules, bands=band, judged=judged(case, curve, band), distance=distance)


def _nearest(
    case: Case, what: str, candidates: Sequence[Rules], beam: Beam, budget: Budget
) -> Beam:
    """Return the beam of the nearest of the candidates and the beam's own; `what` names them.

    The best stays where no other is nearer by more than rounding. Of several that fit, the one that
    has the most of the start is taken.
    """
    S, band = len(case.losses), beam.best.bands
    tried = budget.affordable(what, candidates, min(FEW, S))
    kept = beam.members + _promising(case, tried, beam)
    if S > FEW:
        budget.spend(len(kept), S)
    distances = [approached(case, curve, band).distance for curve in losses(case, kept, S).T]
    apart = [_apart(case, rules, beam.start) for rules in kept]
    order = sorted(range(len(kept)), key=lambda n: (distances[n], apart[n]))
    nearer = distances[order[0]] < distances[0] - BETTER
    best = _measured(case, kept[order[0]], budget) if nearer else beam.best
    others = [kept[n] for n in order if kept[n] != best.rules]
    return replace(beam, best=best, others=others[:WIDTH])


def _apart(case: Case, rules: Rules, start: Rules) -> int:
    """Return the number of acting settings in which a candidate differs from the start."""
    return sum(rules[key] != start[key] and not idle(key, rules, case) for key in rules)


def _promising(case: Case, candidates: Sequence[Rules], beam: Beam) -> list[Rules]:
    """Return the candidates that are no worse in the first steps than the worst of the beam."""
    members, steps = beam.members, min(FEW, len(case.losses))
    curves = losses(case, [*members, *candidates], steps)
    band = beam.best.bands[:steps]
    distances = [approached(case, curve, band).distance for curve in curves.T]
    worst = max(distances[: len(members)])
    found = zip(candidates, distances[len(members) :], strict=True)
    return [rules for rules, distance in found if distance <= worst]
