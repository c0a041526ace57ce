"""Print what was found: the answer, a table of rules, and how the losses were judged."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.identify.candidates import VALUES, Rules, idle
from harness.identify.case import Case
from harness.identify.judge import count_judged
from harness.identify.price import Budget
from harness.identify.search import Found
from harness.identify.verdicts import Verdict


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


def none_fits(case: Case, found: Found) -> list[str]:
    """Return lines that say which candidate is nearest, and where it parts."""
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
    return lines


def left_out(budget: Budget, seconds: float) -> list[str]:
    """Return a line that says what was not tried for its price, if there is any."""
    if not budget.left_out:
        return []
    parts = ", ".join(budget.left_out)
    return [f"Left out, as {seconds:g} s do not allow them: {parts}; --seconds N allows more."]


def shown(rules: Rules, case: Case) -> list[str]:
    """Return the settings that act."""
    return [key for key in VALUES if not idle(key, rules, case) and rules[key] is not None]


def say(line: str, screen: Console, style: str = "") -> None:
    """Print a line, broken where the screen ends only on a terminal."""
    screen.print(escape(line), style=style or None, highlight=False, soft_wrap=True)
