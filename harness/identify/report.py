"""Print what was found: the answer, a table of rules, and how the losses were judged."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.identify.candidates import VALUES, Rules, idle
from harness.identify.case import Case
from harness.identify.identified import Identified
from harness.identify.judge import count_judged
from harness.identify.price import SECONDS
from harness.identify.search import Found
from harness.identify.stated import unknown
from harness.identify.verdict import Verdict
from harness.recorder.recording import Recording


def table(verdicts: Sequence[Verdict]) -> Table:
    """Return the rules that can act with their values, verdicts and evidence."""
    result = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("rule", "value", "verdict"):
        result.add_column(title, no_wrap=True)
    result.add_column("evidence")
    for verdict in verdicts:
        value = "null" if verdict.value is None else str(verdict.value)
        if not verdict.idle:
            result.add_row(verdict.key, escape(value), verdict.word, escape(verdict.evidence))
    return result


def idle_rules(verdicts: Sequence[Verdict]) -> list[str]:
    """Return a line for each reason for which rules cannot act, with their names."""
    rules: dict[str, list[str]] = {}
    for verdict in verdicts:
        if verdict.idle:
            rules.setdefault(verdict.evidence, []).append(verdict.key.rpartition(".")[2])
    return [f"Not visible, as {why}: {', '.join(names)}." for why, names in rules.items()]


def judgement(case: Case, found: Found) -> str:
    """Return how far the losses were judged, and the largest gap."""
    S, count = len(case.losses), count_judged(found.bands)
    text = f"{S} steps in {case.precision}; largest gap {found.judged.largest:.2g} of the band."
    if count < S:
        text += f" From step {count + 1} on rounding alone leads too far to judge."
    return text


def none_fits(outcome: Identified, seconds: float = SECONDS) -> list[str]:
    """Return lines that say which candidate is nearest, where it parts, and what may be the cause.

    `seconds` are those that the search was given.
    """
    case, found = outcome.case, outcome.found
    step, judged = found.judged.parts_at, found.judged
    if judged.fits:
        return ["None can be judged: rounding alone leads too far from the first step on."]
    nearest = ", ".join(f"{k}={found.rules[k]}" for k in shown(found.rules, case))
    lines = ["None of the rules known here gives the recorded losses."]
    if step == 1:
        lines.append(
            "Already the first loss differs, which comes before any update: the network or the "
            "loss is another."
        )
    lines.append(
        f"The nearest parts at step {step}, by {judged.ratios[step - 1]:.1e} times the band: "
        f"{nearest}."
    )
    if parts := ", ".join(outcome.budget.left_out):
        lines.append(
            f"Left out, as {seconds:g} s do not allow them: {parts}; --seconds N allows more."
        )
    return [*lines, *_causes(outcome.recording)]


def _causes(recording: Recording) -> list[str]:
    """Return what the program states of itself that no rule here has."""
    settings, stated = unknown(recording), recording.stated
    text = f"The program states {', '.join(settings)}, which no rule here has."
    lines = [text] if settings else []
    if stated.get("backend") == "jax" and stated.get("floatx") == "float64":
        lines.append("Keras on JAX computes parts of float64 in float32; record it in float32.")
    return lines


def shown(rules: Rules, case: Case) -> list[str]:
    """Return the settings that act."""
    return [key for key in VALUES if not idle(key, rules, case) and rules[key] is not None]


def say(line: str, screen: Console, style: str = "") -> None:
    """Print a line, broken where the screen ends only on a terminal."""
    screen.print(escape(line), style=style or None, highlight=False, soft_wrap=True)
