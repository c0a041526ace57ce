"""Put the answer of `python -m harness.why` into words: sentences, shares, numbers with errors."""

import math
import re

from harness.config.schema import Config
from harness.why.answer import Answer, Outcome, Question
from harness.why.shapley import half_width

NAMED = 3  # settings named in the sentence; the others are summed
WORTH_A_NAME = 0.01  # share of the gap from which a setting is named
SMALL = 0.001  # share of the gap below which no digits are given
NOTHING = 1e-9  # share of the gap that counts as rounding
ROUNDING = 1e-12  # relative error that counts as rounding; trainings have larger ones
MOST_DECIMALS = 5  # a value with more is written with an exponent


def sentence(question: Question, outcome: Outcome) -> str:
    """Return the answer in one sentence.

    Shares are of the gap and add up to 100 %. The ± of a share is the half width of that part's
    95 % interval, in per cent of the gap.
    """
    if not outcome.significant:
        return (
            f"No gap in {outcome.name} beyond the noise of {len(outcome.a)} seeds: "
            f"{plus_minus(outcome.gap, outcome.half)}."
        )
    clauses = [*_settings(question, outcome), _frameworks(question, outcome)]
    start = f"Of the gap of {plus_minus(outcome.gap, outcome.half)} in {outcome.name}"
    return f"{start}, {', '.join(clauses[:-1])}{'; ' if clauses[:-1] else ''}{clauses[-1]}."


def headline(question: Question) -> str:
    """Return the question as a headline: task, network and the two sides."""
    a, b = question.a, question.b
    networks = " / ".join(dict.fromkeys(_network(s) for s in (a, b)))
    return f"{a.task.name} · {networks} · A {side_name(a)} · B {side_name(b)}"


def _network(config: Config) -> str:
    """Return a network as `lstm 2×8`, as in the summary of a run."""
    layers = f"{config.model.layers}×" if config.model.layers > 1 else ""
    return f"{config.model.cell} {layers}{config.model.units}"


def side_name(config: Config) -> str:
    """Return a side's backend, and its preset of semantics if that has another name."""
    backend, rules = config.backend.name, config.semantics.name
    return backend if backend == rules else f"{backend} as {rules}"


def levels(outcome: Outcome) -> str:
    """Return the losses of both sides."""
    a, b = (plus_minus(float(v.mean()), float(half_width(v))) for v in (outcome.a, outcome.b))
    return f"{outcome.name}: A {a}, B {b}"


def caption(question: Question, answer: Answer) -> str:
    """Return an explanation of the numbers: method, seeds, and the meaning of ±."""
    seeds = f"{len(question.a.seeds)} paired seeds ({question.a.seed}…{question.a.seeds[-1]})"
    if not answer.divided:
        return f"± is the 95 % interval over {seeds}. Nothing was divided."
    orders = bool(question.design.orders)
    both = ", and from sampling, in quadrature" if orders else ""
    text = (
        f"Parts are Shapley values of trainings by {question.backend.name}, "
        f"{question.design.method}. ± (of a share: in per cent of the gap) is the 95 % interval "
        f"from {seeds}{both}"
    )
    if orders:
        first = answer.first
        largest = first.ranked()[0]
        errors = (number(float(x[largest])) for x in (first.parts.seeds, first.parts.sampling))
        text += " (of the largest part of {}: ±{} and ±{})".format(first.name, *errors)
    return (
        f"{text}. Shares in brackets are within the noise. The frameworks' part is what the "
        "settings leave."
    )


def interplay(outcome: Outcome) -> str:
    """Return a sentence that compares switching settings one at a time with switching all."""
    total = float(outcome.parts.mean.sum())
    from_a, from_b = outcome.interplay()
    tiny = NOTHING * abs(outcome.gap)
    rests = ["nothing" if abs(x) < tiny else number(x) for x in (from_a, from_b)]
    if rests == ["nothing"] * 2:
        return (
            f"Switched one at a time, the settings add up to {number(total)}, too: they do not "
            "interplay."
        )
    return (
        f"Switched one at a time, the settings add up to {number(total - from_a)} from A's side "
        f"and {number(total - from_b)} from B's, but to {number(total)} together: the rest, "
        f"{rests[0]} and {rests[1]}, is interplay, which Shapley values share out."
    )


def _settings(question: Question, outcome: Outcome) -> list[str]:
    """Return clauses for the largest parts whose interval excludes 0, and the sum of the others."""
    means, halves = outcome.parts.mean, outcome.parts.half
    ranked = outcome.ranked()
    sure = [i for i in ranked if abs(means[i]) > max(halves[i], WORTH_A_NAME * abs(outcome.gap))]
    named = sure[:NAMED] or ranked[:1]
    others = [i for i in ranked if i not in named]
    if len(others) == 1:
        named, others = [*named, *others], []
    parts = [(question.players[i].name, (float(means[i]), float(halves[i]))) for i in named]
    if others:
        parts.append((f"the other {len(others)} together", outcome.together(others)))
    verbs = ["is ", *[""] * len(parts)]
    return [
        f"{_share(outcome, *part)} {verb}{name}{_mark(outcome, *part)}"
        for verb, (name, part) in zip(verbs, parts, strict=False)
    ]


def _frameworks(question: Question, outcome: Outcome) -> str:
    if question.same_framework:
        return f"both sides are trained by {question.backend.name}, so no framework has a part"
    mean, half = outcome.framework
    if abs(mean) + half < SMALL * abs(outcome.gap):
        return "the frameworks themselves account for less than 0.1 %"
    mark = ", which is within the noise" if abs(mean) <= half else _mark(outcome, mean, half)
    return f"the frameworks themselves account for {_share(outcome, mean, half)}{mark}"


def _share(outcome: Outcome, mean: float, half: float) -> str:
    return percent(outcome.share(mean), outcome.share_half(half))


def _mark(outcome: Outcome, mean: float, half: float) -> str:
    if abs(mean) <= half:
        return " (within the noise)"
    return " (against it)" if outcome.share(mean) <= -SMALL else ""


def percent(share: float, half: float = 0.0) -> str:
    """Return a share in per cent with its error: `71 ± 8 %`, `0.4 ± 0.2 %`.

    An error that the digits of the share would not show is left out: `71 %`, `0.4 %`, `−12 %`.
    """
    if half < 0.0005:
        text = _rounded(100 * share, 0 if abs(share) >= 0.0995 else 1)
    else:
        decimals = 0 if half >= 0.0095 else 1
        text = f"{_rounded(100 * share, decimals)} ± {100 * half:.{decimals}f}"
    return f"{text} %".replace("-", "−")


def _rounded(value: float, decimals: int) -> str:
    return "0" if round(value, decimals) == 0 else f"{value:.{decimals}f}"


def _unsigned_zero(value: float, decimals: int) -> str:
    """Format a value with all its decimals, and a zero without a sign."""
    text = f"{value:.{decimals}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def plus_minus(mean: float, half: float) -> str:
    """Format a value with two digits of its error, and as many decimals: `0.711 ± 0.030`.

    Small values share an exponent: `(3.20 ± 0.12)e−7`.
    """
    if half <= ROUNDING * abs(mean):
        return number(mean)
    if not math.isfinite(half):
        return f"{number(mean)} ± ∞"
    decimals = max(1 - math.floor(math.log10(half)), 0)
    if decimals > MOST_DECIMALS:
        power = math.floor(math.log10(max(abs(mean), half)))
        digits = decimals + power
        mean, half = mean / 10.0**power, half / 10.0**power
        return _tidy(f"({_unsigned_zero(mean, digits)} ± {half:.{digits}f})e{power}")
    return f"{_unsigned_zero(mean, decimals)} ± {half:.{decimals}f}".replace("-", "−")


def number(value: float) -> str:
    """Format a value with three significant digits."""
    return _tidy(f"{value or 0.0:.3g}")  # -0.0 is a zero


def distinct(first: float, second: float) -> tuple[str, str]:
    """Format two values with so many digits that their difference shows, at least three."""
    texts = ("", "")
    for digits in (".3g", *(f"#.{n}g" for n in range(4, 16))):  # "#" keeps zeros at the end
        texts = (format(first or 0.0, digits), format(second or 0.0, digits))
        seen, is_there = float(texts[1]) - float(texts[0]), second - first
        if abs(seen - is_there) <= 0.1 * abs(is_there):
            break
    return _tidy(texts[0]), _tidy(texts[1])


def _tidy(text: str) -> str:
    """Write a true minus sign, and exponents without a leading zero."""
    return re.sub(r"e([+-])0", r"e\1", text).replace("e+", "e").replace("-", "−")
