"""The answer of `python -m harness.why` in words: numbers with their errors, shares, a sentence."""

import math
import re

from harness.config import Config
from harness.why.answer import Answer, Outcome, Question
from harness.why.shapley import half_width

NAMED = 3  # settings named in the sentence; the others are summed
WORTH_A_NAME = 0.01  # of the gap
SMALL = 0.001  # of the gap: a share that is not worth its digits


def sentence(question: Question, outcome: Outcome) -> str:
    """The answer in one sentence; shares are of the gap and add up to 100 %."""
    if not outcome.real:
        return (
            f"No gap in {outcome.name} beyond the noise of {len(outcome.a)} seeds: "
            f"{plus_minus(outcome.gap, outcome.half)}."
        )
    clauses = [*_settings(question, outcome), _frameworks(question, outcome)]
    said = f"Of the gap of {plus_minus(outcome.gap, outcome.half)} in {outcome.name}"
    return f"{said}, {', '.join(clauses[:-1])}{'; ' if clauses[:-1] else ''}{clauses[-1]}."


def headline(question: Question) -> str:
    """What was asked: task, network and the two sides."""
    a, b = question.a, question.b
    cells = " / ".join(dict.fromkeys(f"{s.model.cell} {s.model.units}" for s in (a, b)))
    return f"{a.task.name} · {cells} · A {side(a)} · B {side(b)}"


def side(config: Config) -> str:
    """A side by its backend, and the preset of its rules where that has another name."""
    backend, rules = config.backend.name, config.semantics.name
    return backend if backend == rules else f"{backend} as {rules}"


def levels(outcome: Outcome) -> str:
    """Where both sides ended."""
    a, b = (plus_minus(float(v.mean()), float(half_width(v))) for v in (outcome.a, outcome.b))
    return f"{outcome.name}: A {a}, B {b}"


def caption(question: Question, answer: Answer) -> str:
    """How the numbers came about."""
    seeds = f"{len(question.a.seeds)} paired seeds ({question.a.seed}…{question.a.seeds[-1]})"
    if not answer.divided:
        return f"± is the 95 % interval over {seeds}. Nothing was divided."
    orders = bool(question.design.orders)
    both = ", and from sampling, in quadrature" if orders else ""
    said = (
        f"Parts are Shapley values of trainings by {question.backend.name}, "
        f"{question.design.method}. ± is the 95 % interval from {seeds}{both}"
    )
    if orders:
        parts, largest = answer.outcomes[0].parts, answer.outcomes[0].ranked()[0]
        errors = (number(float(x[largest])) for x in (parts.seeds, parts.sampling))
        said += " (of the largest part ±{} and ±{})".format(*errors)
    return f"{said}. The frameworks' part is what the settings leave."


def interplay(outcome: Outcome) -> str:
    """How far switching one setting at a time is from the whole."""
    total = float(outcome.parts.mean.sum())
    from_a, from_b = outcome.interplay()
    return (
        f"Switched one at a time, the settings add up to {number(total - from_a)} from A's side "
        f"and {number(total - from_b)} from B's, but to {number(total)} together: the rest, "
        f"{number(from_a)} and {number(from_b)}, is interplay, which Shapley values share out."
    )


def _settings(question: Question, outcome: Outcome) -> list[str]:
    """The largest parts whose sign is beyond doubt, then the sum of the others."""
    means, halves = outcome.parts.mean, outcome.parts.half
    ranked = outcome.ranked()
    sure = [i for i in ranked if abs(means[i]) > max(halves[i], WORTH_A_NAME * abs(outcome.gap))]
    named = sure[:NAMED] or ranked[:1]
    clauses = [f"{_share(outcome, means[i])} {question.players[i].name}" for i in named]
    clauses[:1] = [clause.replace("%", "% is", 1) for clause in clauses[:1]]
    others = [i for i in ranked if i not in named]
    if len(others) == 1:
        clauses.append(f"{_share(outcome, means[others[0]])} {question.players[others[0]].name}")
    elif others:
        together = _share(outcome, means[others].sum())
        clauses.append(f"{together} the other {len(others)} together")
    return clauses


def _frameworks(question: Question, outcome: Outcome) -> str:
    if question.same_framework:
        return f"both sides are trained by {question.backend.name}, so no framework has a part"
    mean, half = outcome.framework
    share = outcome.share(mean)
    if abs(share) < SMALL:
        return "the frameworks themselves account for less than 0.1 %"
    noise = ", which is within the noise" if abs(mean) <= half else ""
    return f"the frameworks themselves account for {_share(outcome, mean)}{noise}"


def _share(outcome: Outcome, part: float) -> str:
    share = outcome.share(part)
    return percent(share) + (" (against it)" if share <= -SMALL else "")


def percent(share: float) -> str:
    """`71 %`, `0.4 %`, `−12 %`."""
    shown = f"{100 * share:.{0 if abs(share) >= 0.0995 else 1}f}"
    return f"{'0' if float(shown) == 0 else shown} %".replace("-", "−")


def plus_minus(mean: float, half: float) -> str:
    """`0.711 ± 0.030`: two digits of the error, and as many decimals of the value."""
    if half == 0 or not math.isfinite(half):
        return number(mean) if half == 0 else f"{number(mean)} ± ∞"
    decimals = max(1 - math.floor(math.log10(half)), 0)
    if decimals > 4:
        return f"{_tidy(f'{mean:.1e}')} ± {_tidy(f'{half:.1e}')}"
    return f"{mean:.{decimals}f} ± {half:.{decimals}f}".replace("-", "−")


def number(value: float) -> str:
    """Three digits."""
    return _tidy(f"{value:.3g}")


def _tidy(text: str) -> str:
    """A true minus, and exponents without a leading zero."""
    return re.sub(r"e([+-])0", r"e\1", text).replace("e+", "e").replace("-", "−")
