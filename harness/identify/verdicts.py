"""What the recorded losses say of each rule: certain, or not visible here, and why."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.core.arrays import Array
from harness.identify.candidates import VALUES, Rules, changes, idle
from harness.identify.case import Case
from harness.identify.epoch_rules import epoch_loss, last_batch
from harness.identify.judge import judged
from harness.identify.replay import losses
from harness.identify.search import Found
from harness.identify.verdict import CERTAIN, HIDDEN, OPEN, Verdict
from harness.recorder.recording import Recording

WHY = {  # why a setting that acts changes no number
    "trainer.clip": "no gradient reaches the limit",
    "semantics.clip_scope": "no gradient reaches the limit",
    "semantics.clip_eps": "no gradient reaches the limit",
    "semantics.momentum_lr": "the learning rate never changes",
    "semantics.bce": "no probability is near 0 or 1",
    "semantics.beta_powers": "the training is in float64 itself",
}


@dataclass(frozen=True, kw_only=True)
class Rival:
    """Another value of a rule, and the losses that it gives."""

    value: Any
    largest: float  # gap, as a multiple of the band
    parts_at: int
    same: bool  # its losses are those of the answer, bit by bit


def verdicts(case: Case, found: Found, recording: Recording) -> list[Verdict]:
    """Return the verdict of each rule, each other value being tried in the answer's place."""
    S, rules = len(case.losses), found.rules
    tried = list(changes(rules, case))
    curves = losses(case, [rules, *(changed for _, changed in tried)], S)
    rivals: dict[str, list[Rival]] = {}
    for (key, changed), curve in zip(tried, curves.T[1:], strict=True):
        rivals.setdefault(key, []).append(_rival(case, found, changed[key], curve, curves[:, 0]))
    result = [_verdict(case, key, rules, rivals.get(key, [])) for key in VALUES]
    averaged = epoch_loss(case, found, recording, curves[:, 0])
    return [*result, averaged, last_batch(recording)]


def _rival(case: Case, found: Found, value: Any, curve: Array, answer: Array) -> Rival:
    other = judged(case, curve, found.bands)
    return Rival(
        value=value,
        largest=other.largest,
        parts_at=other.parts_at,
        same=np.array_equal(curve, answer),
    )


def _verdict(case: Case, key: str, rules: Rules, rivals: list[Rival]) -> Verdict:
    if why := idle(key, rules, case):
        return Verdict(key=key, value=rules[key], word=HIDDEN, evidence=why, idle=True)
    fitting = [rival for rival in rivals if rival.largest <= 1]
    if fitting:
        return _unsure(key, rules[key], fitting, len(fitting) == len(rivals))
    if not rivals:
        evidence = "the weights and targets have no other form"
    else:
        nearest = min(rivals, key=lambda rival: rival.largest)
        evidence = (
            f"{nearest.value} leaves the band at step {nearest.parts_at}, "
            f"by {nearest.largest:.1e} times it"
        )
    return Verdict(key=key, value=rules[key], word=CERTAIN, evidence=evidence)


def _unsure(key: str, value: Any, fitting: list[Rival], every: bool) -> Verdict:
    """Return the verdict where other values fit, too."""
    also = tuple(rival.value for rival in fitting)
    worst = max(rival.largest for rival in fitting)
    same = all(rival.same for rival in fitting)
    shown = ", ".join(map(str, also))
    why = WHY.get(key, "it acts on no number") if same else f"at most {worst:.1g} of the band"
    return Verdict(
        key=key,
        value=value,
        word=HIDDEN if every else OPEN,
        evidence=f"{shown} {'fits' if len(also) == 1 else 'fit'} as well: {why}",
        also=also,
    )
