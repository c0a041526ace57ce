"""A verdict: what the recorded losses say of one rule."""

from dataclasses import dataclass
from typing import Any

CERTAIN, OPEN, HIDDEN = "certain", "one of several", "not visible here"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One rule's value, how sure it is, and the evidence in words."""

    key: str
    value: Any
    word: str  # CERTAIN, OPEN or HIDDEN
    evidence: str
    also: tuple[Any, ...] = ()  # other values that fit
    idle: bool = False  # the rule cannot act in such a training at all
