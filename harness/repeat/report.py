"""Print how far each backend's losses are from the recorded ones, and what to type next."""

from collections.abc import Mapping

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.console.command_line import counted, option, shell_line
from harness.console.terminal import say
from harness.core.arrays import Array
from harness.identify.judge import Judged, count_judged, judged
from harness.repeat.experiment import Experiment
from harness.repeat.rules import NamedRules
from harness.repeat.training import Repetition
from harness.tracking.browse import compare_command, missing, say_next


def verdict(identified: NamedRules, losses: Array) -> Judged:
    """Judge the losses of a run by the rounding band of the steps that were identified."""
    bands = identified.found.bands[: len(losses)]
    return judged(identified.case, losses[: len(bands)], bands)


def table(identified: NamedRules, repetitions: Mapping[str, Repetition]) -> Table:
    """Return a row for each backend: steps, its gap to the recorded losses, and the verdict."""
    result = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    result.add_column("backend", no_wrap=True)
    for title in ("steps", "largest gap", "of the band"):
        result.add_column(title, justify="right", no_wrap=True)
    result.add_column("verdict")
    for backend, each in repetitions.items():
        found = verdict(identified, each.losses)
        gap, steps = _largest_gap(identified, each.losses), f"{len(each.losses):,}"
        said = "inside" if found.fits else f"outside from step {found.parts_at} on"
        if each.result is None:
            said = "outside: its loss is no longer finite"
        result.add_row(escape(backend), steps, f"{gap:.1e}", f"{found.largest:.2g}", said)
    return result


def _largest_gap(identified: NamedRules, losses: Array) -> float:
    """Return the largest relative gap to the recorded losses, over all steps that were trained."""
    recorded = identified.whole.losses[: len(losses)]
    with np.errstate(all="ignore"):
        gaps = np.abs(losses[: len(recorded)] - recorded) / np.abs(recorded)
    return float(np.where(losses[: len(recorded)] == recorded, 0.0, gaps).max())


def judgement(identified: NamedRules) -> str:
    """Return by which steps the backends were judged."""
    count, S = count_judged(identified.found.bands), identified.recording.steps
    steps = counted(S, "step") if count == S else f"the first {count:,} of {S:,} steps"
    return f"Judged by {steps} and the rounding band of {identified.case.precision}."


def show_next(
    experiment: Experiment, repetitions: Mapping[str, Repetition], screen: Console
) -> None:
    """Print the command that repeats the training in each backend, and where the runs are."""
    say(f"  settings {experiment.settings}", screen)
    start = "repeat"
    for each in repetitions.values():
        words = ["harness", *option("--config-dir", str(experiment.folder)), *each.words]
        say(f"  {start:<8} {shell_line(words)}", screen)
        start = ""
    results = [each.result for each in repetitions.values() if each.result is not None]
    tracked = [result for result in results if result.tracking is not None]
    if not tracked:
        return
    address = {}
    for result in tracked:
        address = result.wait_for_address()
        if not address:
            assert result.tracking is not None
            say(f"  {missing(result.tracking.problem, result.directory)}", screen)
            return
    config = tracked[-1].plan.config
    line = compare_command(config.results, address["uri"], config.experiment_name)
    say_next(line, address, screen)
