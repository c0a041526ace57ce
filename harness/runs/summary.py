"""The summary of a finished run: its metrics, its files and the commands to type next."""

from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.config.tracking_store import EXPERIMENT, experiment_in_environment, source_of
from harness.console.command_line import shell_word
from harness.console.terminal import say
from harness.core.intervals import over_replicas
from harness.core.model import count_params
from harness.runs.bound_comparison import compare_with_bound
from harness.runs.resume import command
from harness.runs.run import Result
from harness.tracking.browse import compare_command, missing, say_next
from harness.training.kernel_figures import in_one_line
from harness.training.metrics import predict

ROWS = 12  # predictions shown at most


def show(result: Result, console: Console) -> None:
    """Print the summary."""
    outcome = result.outcome
    console.print(f"[bold]{escape(headline(result))}[/bold]")
    for name, values in sorted(result.values.items()):
        console.print(f"  {name:<15} {_with_spread(name, values.tolist())}")
    if outcome.stopped_early and outcome.best_epoch is not None:
        epochs = ", ".join(map(str, np.unique(outcome.best_epoch)))
        console.print(
            f"  stopped after epoch {outcome.epochs}; best weights (epoch {epochs}) restored"
        )
    if sentence := _bound_sentence(result):
        console.print(f"  {escape(sentence)}", soft_wrap=True)
    timings = result.timings
    if "time/per_step_us" in timings:
        console.print(
            f"  {timings['time/compile_s']:.2f} s to set up, {timings['time/train_s']:.2f} s in"
            f" training, {timings['time/per_step_us']:.0f} µs a step; tracking"
            f" {timings['time/tracking_share']:.0%} of the run"
        )
    say(f"  kernel   {_kernel(result)}", console)
    for table in (_gradient(result), _shown_predictions(result)):
        if table is not None:
            console.print(table)
    _show_places(result, console)


def _show_places(result: Result, console: Console) -> None:
    """Print where files and MLflow's run are, and the commands to type next."""
    config, outcome = result.plan.config, result.outcome
    say(f"  files    {shell_word(str(result.directory))}", console)
    if outcome.epochs:
        more = [f"trainer.epochs={2 * outcome.epochs}"]
        more += ["trainer.patience=null"] if outcome.stopped_early else []
        say(f"  go on    {command(result.directory, config.results, more)}", console)
    if result.tracking is None:
        return
    address = result.wait_for_address()
    if not address:
        say(f"  {missing(result.tracking.problem, result.directory)}", console)
    else:
        uri, experiment = address["uri"], config.experiment_name
        say(f"  MLflow   run {address['run_id']} in {uri}{source_of(uri)}", console)
        if config.tracking.experiment is None and experiment == experiment_in_environment():
            say(f"           experiment {experiment} (from {EXPERIMENT})", console)
        say_next(compare_command(config.results, uri, experiment), address, console)


def headline(result: Result) -> str:
    """Return task, backend, network, size, optimiser, precision and seeds in one line."""
    config = result.plan.config
    layers = f"{config.model.layers}×" if config.model.layers > 1 else ""
    seeds = f"seed {config.seed}"
    if config.replicas > 1:
        seeds = f"seeds {config.seed}…{config.seeds[-1]}"
    return (
        f"{config.task.name} · {config.backend.name} · {config.model.cell} "
        f"{layers}{config.model.units} ({count_params(result.plan.model):,} parameters) · "
        f"{config.optimizer.name} {config.optimizer.lr:g} · {config.precision} · {seeds}"
    )


def _kernel(result: Result) -> str:
    """Return kernel and threads, with what was measured of all candidates."""
    threads, figures = result.plan.threads, result.plan.figures
    words = f"{result.outcome.backend.kernel}, {threads} thread{'s' * (threads > 1)}"
    return f"{words}; measured: {in_one_line(figures)}" if figures else words


def _with_spread(name: str, values: list[float]) -> str:
    interval = over_replicas(name, values)
    mean = f"{interval[name]:.6g}"
    if len(values) == 1:
        return mean
    low, high = interval[f"{name}_lo"], interval[f"{name}_hi"]
    return f"{mean}  (95 % of the mean over {len(values)} replicas: {low:.6g} … {high:.6g})"


def _bound_sentence(result: Result) -> str | None:
    """Compare the loss with the best possible one, on held-out data where there is any."""
    bound = result.plan.config.task.best_loss()
    if bound is None or not result.outcome.epochs:
        return None
    splits = result.plan.splits
    name = next(n for n in ("test", "val", "train") if n in splits.parts)
    outputs = predict(result.outcome.backend, splits, splits.parts[name])
    return compare_with_bound(bound, result.plan.training.loss, name, outputs, splits)


def _gradient(result: Result) -> Table | None:
    if not result.gradient:
        return None
    table = Table("gradient of the first batch", "shape", "norm")
    for name, value in result.gradient.items():
        shape = " × ".join(map(str, value.shape[1:]))
        table.add_row(name, shape, f"{np.linalg.norm(value[0]):.6g}")
    return table


def _shown_predictions(result: Result) -> Table | None:
    """Return the first replica's predictions of probes, or of data without targets; else None."""
    predictions: Any = result.predictions
    predictions = predictions[predictions["replica"] == 0]
    probes = predictions[predictions["split"] == "probe"]
    if probes.empty and predictions["true"].notna().any():
        return None
    table = Table("split", "sample", "step", "output", "true", "predicted")
    for row in (predictions if probes.empty else probes).head(ROWS).itertuples():
        true = "" if np.isnan(row.true) else f"{row.true:g}"
        cells = (row.split, row.sample, row.time_step, row.output, true, f"{row.predicted:.4f}")
        table.add_row(*map(str, cells))
    return table
