"""The network's form and the loss, which the first loss decides: it comes before any update."""

from collections.abc import Sequence
from itertools import product

from harness.identify.candidates import FORM, VALUES, Rules, idle, possible
from harness.identify.case import Case
from harness.identify.judge import approached, bands
from harness.identify.replay import losses


def first_forms(case: Case, starts: Sequence[Rules]) -> list[Rules]:
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
