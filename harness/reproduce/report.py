"""Print the answer of `harness reproduce`, and the evidence for it."""

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.core.difference import limit_of
from harness.reproduce.judgement import Gap, Judgement
from harness.reproduce.machine import Fact
from harness.reproduce.recorded_run import RecordedRun
from harness.reproduce.repetition import Beginning, Repetition


def answer(judgement: Judgement, start: Beginning, run: RecordedRun) -> str:
    """Return the answer in one sentence."""
    epochs = _epochs(judgement.first, judgement.last)
    if judgement.kind == "bit-equal":
        by = "weights, optimiser memory and metrics" if run.has_digests else "metrics"
        return f"Bit-equal: {by} of {epochs}{_ending(run, judgement)}."
    if judgement.kind == "within the band":
        return _within(judgement, epochs)
    return f"Differs from epoch {judgement.from_epoch}: {_how(judgement, start)}."


def _within(judgement: Judgement, epochs: str) -> str:
    worst = max(judgement.gaps, key=lambda gap: gap.difference.error)
    text = f"Within the band over {epochs}: the largest gap is {_gap(worst)}."
    if judgement.unjudged is None:
        return text
    return (
        f"{text[:-1]}; from epoch {judgement.unjudged} on not everything could be judged, since "
        "rounding alone may lead that far."
    )


def _how(judgement: Judgement, start: Beginning) -> str:
    gap, step = judgement.beyond, _step(judgement.from_epoch, start)
    if gap is None:
        return (
            "its digest or a metric differs, and no loss or weight that was kept shows by how "
            f"much; {step}"
        )
    if gap.difference.note:
        return gap.difference.note
    since = "" if gap.epoch == judgement.from_epoch else f", in epoch {gap.epoch}"
    return f"there the gap is {_gap(gap)}{since}; {step}"


def _gap(gap: Gap) -> str:
    """Return `3e-16 of train/loss after epoch 7, the limit 1e-09`."""
    difference = gap.difference
    final = "final " if gap.quantity.startswith("final") else ""
    return (
        f"{difference.error:.1e} of {final}{difference.tensor} after epoch {gap.epoch}, "
        f"the limit {difference.limit:.0e}"
    )


def _step(epoch: int, start: Beginning) -> str:
    """Return what is known of the step at which an epoch begins to differ."""
    schedule = start.plan.schedule
    first, last = schedule.steps_before(epoch) + 1, schedule.steps_before(epoch + 1)
    if first == last:
        return f"that is step {last}"
    return f"at one of the steps {first} to {last}, which no run records"


def _ending(run: RecordedRun, judgement: Judgement) -> str:
    if not run.finished:
        return ", where the run ended"
    return ", and the final weights" if judgement.last == run.last else ""


def _epochs(first: int, last: int) -> str:
    return f"epoch {first}" if first == last else f"epochs {first} to {last}"


def show(
    judgement: Judgement,
    start: Beginning,
    run: RecordedRun,
    again: Repetition,
    facts: list[Fact],
    screen: Console,
) -> None:
    """Print the answer, what was compared, and what has changed since."""
    screen.print(f"[bold]{escape(answer(judgement, start, run))}[/bold]", soft_wrap=True)
    screen.print(_evidence(judgement, run, again))
    for note in [*_missing(run, again), *judgement.notes]:
        screen.print(f"  {escape(note)}", soft_wrap=True, highlight=False)
    screen.print(f"  {_limits(judgement, start)}", soft_wrap=True, highlight=False)
    show_facts(facts, screen)


def _evidence(judgement: Judgement, run: RecordedRun, again: Repetition) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("compared", "epochs", "largest gap", "limit", "where"):
        table.add_column(name, justify="right" if name in ("largest gap", "limit") else "left")
    epochs = f"{judgement.first}…{judgement.last}"
    if run.has_digests:
        table.add_row("digests", epochs, *_digests(run, again))
    for quantity in ("losses", "weights", "final losses", "final weights"):
        gap = judgement.largest(quantity)
        if gap is not None and (gap.difference.tensor or gap.difference.left_out):
            after = [g.epoch for g in judgement.gaps if g.quantity == quantity]
            span = f"{after[0]}…{after[-1]}" if len(after) > 1 else str(after[0])
            table.add_row(quantity, span, *_cells(gap))
    return table


def _digests(run: RecordedRun, again: Repetition) -> tuple[str, str, str]:
    """Return what the digests say, as the last cells of a row."""
    common = sorted(run.epochs.keys() & again.epochs.keys())
    unequal = [e for e in common if run.epochs[e].digest != again.epochs[e].digest]
    if not unequal:
        return "equal", "", ""
    return "differ", "", f"{len(unequal)} of {len(common)}, first epoch {unequal[0]}"


def _cells(gap: Gap) -> tuple[str, str, str]:
    difference = gap.difference
    if not difference.judged:
        return "not judged", "", f"epoch {gap.epoch}"
    if difference.error == 0:
        return "0", f"{difference.limit:.0e}", ""
    error = f"{difference.error:.1e}"
    if difference.beyond:
        error = f"[red]{error}[/red]"
    where = difference.tensor or difference.stage
    return error, f"{difference.limit:.0e}", escape(f"{where}, epoch {gap.epoch}")


def _missing(run: RecordedRun, again: Repetition) -> list[str]:
    """Return a line for each thing that could not be compared."""
    lines: list[str] = []
    if not run.has_digests:
        lines.append(
            "its journal has no digests (it was recorded by an earlier version), so optimiser "
            "memory, and weights between checkpoints, were not compared"
        )
    if run.final_weights() is None:
        lines.append("it did not reach its end, so there are no final weights to compare")
    elif again.weights is None:
        lines.append("the end was not repeated, so final weights were not compared")
    return lines


def _limits(judgement: Judgement, start: Beginning) -> str:
    precision = start.plan.training.precision
    losses, weights = limit_of("losses", precision), limit_of("resumed", precision)
    table = f"{losses:.0e} of a loss, {weights:.0e} of weights"
    found = [gap.difference for gap in judgement.gaps if gap.quantity != "length"]
    wider = any(d.left_out or d.limit > 1.001 * limit_of(d.stage, precision) for d in found)
    band = ", and the control band where that is wider" if wider else ""
    return f"limits of {precision}: {table} (harness/core/tolerances.py){band}"


def show_facts(facts: list[Fact], screen: Console) -> None:
    """Print what has changed since the run was recorded, and what has not."""
    changed = [fact for fact in facts if fact.changed]
    if changed:
        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        for name in ("changed", "recorded", "here"):
            table.add_column(name, overflow="fold")
        for fact in changed:
            table.add_row(*map(escape, (fact.name, fact.recorded, fact.here)))
        screen.print(table)
    same = [fact.name for fact in facts if not fact.changed and fact.recorded == fact.here]
    unknown = [fact.name for fact in facts if "unknown" in (fact.recorded, fact.here)]
    for title, names in (("unchanged", same), ("not recorded", unknown)):
        if names:
            screen.print(f"  {title}: {escape(', '.join(names))}", soft_wrap=True, highlight=False)
