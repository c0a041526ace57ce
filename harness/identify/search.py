"""Find rules under which the recorded losses come out, by changes to the best candidate so far.

What a program states comes first, then the presets. The first loss is before any update, so it
decides the network's form and the loss. Then single settings are changed, and pairs of them where
no single change helps; candidates that are worse than the best in the first steps are given up.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations, product

from harness.core.arrays import Array
from harness.identify.candidates import FORM, VALUES, Rules, changes, idle, possible
from harness.identify.case import Case
from harness.identify.judge import LEAST, Judged, approached, bands, count_judged, judged
from harness.identify.replay import losses

FEW = 6  # steps after which a candidate is given up that is worse than the best
ROUNDS = 12  # of changes: more than any program differs from its preset
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


def search(case: Case, starts: Sequence[Rules], say: Say) -> Found:
    """Return the first candidate that fits, or else the nearest."""
    begun = [rules | form for form in _forms(case, starts) for rules in starts]
    begun = [rules for rules in begun if possible(rules, case)]
    names = dict.fromkeys(rules["optimizer"] for rules in begun)
    by_optimizer = [[rules for rules in begun if rules["optimizer"] == name] for name in names]
    nearest = [_best(case, group, _measured(case, group[0])) for group in by_optimizer]
    nearest.sort(key=lambda found: found.distance)
    if nearest[0].judged.parts_at == 1 and not nearest[0].fits:
        return nearest[0]  # no rule of an update changes the first loss
    ends: list[Found] = []
    for found in nearest:
        ends.append(_climb(case, found, say))
        if ends[-1].fits:
            return ends[-1]
    return min(ends, key=lambda found: found.distance)


def _climb(case: Case, found: Found, say: Say) -> Found:
    """Return the candidate to which changes lead that each bring the losses nearer.

    The optimiser stays: each has a search of its own.
    """
    pairs_left = PAIRS
    for _ in range(ROUNDS):
        if found.fits:
            return found
        singles = [(k, rules) for k, rules in changes(found.rules, case) if k != "optimizer"]
        nearer = _best(case, [rules for _, rules in singles], found)
        if nearer is found and pairs_left:
            pairs_left -= 1
            pairs = _pairs(case, found.rules, singles)
            say(
                f"No single change of {found.rules['optimizer']} helps: {len(pairs):,} pairs of "
                "changes are tried."
            )
            nearer = _best(case, pairs, found)
        if nearer is found:
            return found
        found = nearer
    return found


def _forms(case: Case, starts: Sequence[Rules]) -> list[Rules]:
    """Return the settings of the network and of the loss that give the first loss, or the nearest.

    Where several give it, those that a start has come first.
    """
    known = [{key: rules[key] for key in FORM} for rules in starts]
    every = [dict(zip(FORM, v, strict=True)) for v in product(*(VALUES[key] for key in FORM))]
    forms = [form for form in [*known, *every] if possible(starts[0] | form, case)]
    forms = list({tuple(form.values()): form for form in forms}.values())
    acting = [form for form in forms if _first_of_its_kind(case, form, forms, starts[0])]
    firsts = losses(case, [starts[0] | form for form in acting], 1)[0]
    band = bands(case, starts[0] | acting[0], 1)
    ratios = [approached(case, first[None], band).largest for first in firsts]
    nearest = max(1.0, min(ratios))
    return [form for form, ratio in zip(acting, ratios, strict=True) if ratio <= nearest]


def _first_of_its_kind(case: Case, form: Rules, forms: list[Rules], start: Rules) -> bool:
    """Whether no earlier form is the same but for settings that cannot act."""
    kinds = [
        {key: value for key, value in other.items() if not idle(key, start | other, case)}
        for other in forms[: forms.index(form) + 1]
    ]
    return kinds[-1] not in kinds[:-1]


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


def _measured(case: Case, rules: Rules) -> Found:
    S = len(case.losses)
    band, curve = bands(case, rules, S), losses(case, [rules], S)[:, 0]
    distance = approached(case, curve, band).distance
    return Found(rules=rules, bands=band, judged=judged(case, curve, band), distance=distance)


def _best(case: Case, candidates: Sequence[Rules], found: Found) -> Found:
    """Return the nearest candidate, or `found` where none is nearer."""
    S = len(case.losses)
    kept = _promising(case, candidates, found)
    curves = losses(case, [found.rules, *kept], S)
    distances = [approached(case, curve, found.bands).distance for curve in curves.T]
    least = min(distances)
    if not least < distances[0] - BETTER:
        return found
    return _measured(case, [found.rules, *kept][distances.index(least)])


def _promising(case: Case, candidates: Sequence[Rules], found: Found) -> list[Rules]:
    steps = min(FEW, len(case.losses))
    curves = losses(case, [found.rules, *candidates], steps)
    band = found.bands[:steps]
    distances = [approached(case, curve, band).distance for curve in curves.T]
    return [rules for rules, d in zip(candidates, distances[1:], strict=True) if d <= distances[0]]
