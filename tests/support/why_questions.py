"""Questions to `harness.why` about a small network, and outcomes made by hand."""

import numpy as np
import pytest

from harness.why import __main__ as why
from harness.why.answer import Outcome, Question
from harness.why.shapley import Estimate, half_width

SMALL = (
    *("task.samples=60", "task.length=4", "model.units=4", "trainer.epochs=2", "replicas=3"),
    *("tracking=journal", "optimizer.lr=0.01"),
)


def ask(*words: str) -> Question:
    return why.read_question(why.parse_arguments([*SMALL, *words]))


def outcome(parts: list[list[float]], frameworks: list[float], sampling: float = 0.0) -> Outcome:
    """From parts `(n, R)` and frameworks `(R,)`, their sum the gap; switched alone, each setting
    does as much."""
    by_seed, left = np.array(parts), np.array(frameworks)
    seeds = half_width(by_seed)
    found = Estimate(by_seed, seeds, np.full_like(seeds, sampling))
    a = np.zeros_like(left)
    return Outcome(
        name="loss",
        a=a,
        b=by_seed.sum(axis=0) + left,
        frameworks=left,
        alone_a=by_seed,
        alone_b=by_seed,
        parts=found,
    )


def lr_and_others(count: int = 2) -> Question:
    words = ["b.optimizer.lr=0.001", "b.trainer.batch_size=24", "b.trainer.clip=0.5"]
    return ask(*words[:count])


def said(capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """Standard output with its line breaks as spaces, and standard error."""
    found = capsys.readouterr()
    return " ".join(found.out.split()), found.err
