"""`harness reproduce`: repeat a recorded run, and say whether it comes out the same.

Only the run's own folder is read: its settings, its seeds, its initial weights. Nothing is written.

Exit code 0: equal bit for bit, or within the band of rounding; 1: it differs; 2: the command cannot
be run as it stands.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from harness.config.overrides import key_of
from harness.config.repeated_config import repeated_config
from harness.config.saved_config import load_config
from harness.config.schema import Config
from harness.config.tracking_store import check_uri
from harness.console import streams
from harness.console.command_line import option, python
from harness.console.terminal import console, say
from harness.core.errors import ConfigError, check_range
from harness.core.file_names import CONFIG, WEIGHTS
from harness.reproduce.arguments import parser
from harness.reproduce.judgement import Judgement, equal, judge
from harness.reproduce.machine import Fact, across_backends, facts, restoring
from harness.reproduce.recorded_run import RecordedRun, read_run
from harness.reproduce.repetition import Beginning, beginning, repeat
from harness.reproduce.report import show, show_facts
from harness.runs.checksums import check_file
from harness.runs.find import find_run
from harness.runs.input_files import load_restored
from harness.runs.recorded_kernel import as_recorded, run_tags
from harness.system import signals


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    streams.prepare()
    try:
        options = parser().parse_args(arguments)
        check_range("--epochs", options.epochs, 1)
        if options.uri is not None:
            check_uri("--uri", options.uri)
        with tempfile.TemporaryDirectory() as fetched:
            return _reproduce(options, Path(fetched), console())
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2


def _reproduce(options: argparse.Namespace, fetched: Path, screen: Console) -> int:
    word, changes = options.run, getattr(options, "with")
    needed = (CONFIG, WEIGHTS)
    folder = find_run("", word, options.results, options.uri, needed, fetched / "run")
    check_file(folder, CONFIG, "copy it from the run's artifacts in MLflow")
    config = repeated_config(load_restored(folder), word, changes, options.config_dir)
    config = as_recorded(config, run_tags(folder), [key_of(change) for change in changes])
    start = beginning(config, folder, word)
    run = read_run(folder, word, start.epoch, start.plan)
    recorded = _settings(folder)
    if run.data_digest not in (None, start.plan.splits.digest()):
        _show_other_data(run, start, facts(run, recorded, config, {}), screen)
        return 1
    drawn = start.plan.start.params
    start = start.with_weights(run.initial_weights(), word)
    again = repeat(start, run, options.epochs)
    whole = options.epochs is None or start.epoch + options.epochs >= run.last
    judgement = judge(start, run, again, whole)
    found = facts(run, recorded, config, again.tags)
    if not equal(drawn, start.plan.start.params):
        judgement.notes.append(
            "its initial weights are not those that its seeds, or the checkpoint that it resumed, "
            "give here; the repetition began with the recorded ones"
        )
    show(judgement, start, run, again, found, screen)
    if judgement.kind == "differs":
        _say_place(judgement, start, run, options, folder, screen)
    _say_next(judgement, found, config, options, screen)
    return 1 if judgement.kind == "differs" else 0


def _settings(folder: Path) -> dict[str, str]:
    """Return the settings of the run that are among the facts."""
    recorded: Any = load_config(folder)
    return {"backend": str(recorded.backend.name), "threads": str(recorded.threads)}


def _show_other_data(
    run: RecordedRun, start: Beginning, found: list[Fact], screen: Console
) -> None:
    digests = f"{run.data_digest} recorded, {start.plan.splits.digest()} here"
    screen.print(
        "[bold]Differs before the first epoch: the data that the task gives here are not those of "
        f"the run (digest {digests}).[/bold]",
        soft_wrap=True,
        highlight=False,
    )
    screen.print("  Nothing was trained: another result would say nothing about training.")
    show_facts(found, screen)


def _say_place(
    judgement: Judgement,
    start: Beginning,
    run: RecordedRun,
    options: argparse.Namespace,
    folder: Path,
    screen: Console,
) -> None:
    """Say step and tensor as far as they can be told, and why not more."""
    if getattr(options, "with"):
        from harness.reproduce.side_by_side import first_place

        try:
            recorded = repeated_config(load_restored(folder), options.run, [], options.config_dir)
            recorded = as_recorded(recorded, run.tags)
            text = first_place(start, recorded, min(judgement.from_epoch, run.last))
        except ConfigError as error:
            text = (
                f"The recorded settings cannot be trained here ({error}), so step and tensor "
                "stay unknown."
            )
        screen.print(f"  {text}", soft_wrap=True, highlight=False, markup=False)
        return
    tensors = [gap for gap in judgement.gaps if "weights" in gap.quantity and gap.difference.error]
    if tensors:
        first = tensors[0]
        text = (
            f"Of the weights that were kept, those after epoch {first.epoch} are the first to "
            f"differ, most of all {first.difference.tensor}."
        )
    else:
        text = "No weights that the run kept differ, so no tensor can be named."
    screen.print(f"  {text}", soft_wrap=True, highlight=False, markup=False)


def _say_next(
    judgement: Judgement,
    found: list[Fact],
    config: Config,
    options: argparse.Namespace,
    screen: Console,
) -> None:
    """Print the commands that may follow."""
    changes = getattr(options, "with")
    words = [options.run]
    for name, value in (("--results", options.results), ("--config-dir", options.config_dir)):
        words += [] if str(value) in ("results", "None") else option(name, str(value))
    commands: list[str] = []
    if judgement.kind == "differs" and changes:  # does it come out the same as it was recorded?
        commands = [python("harness.reproduce", words)]
    elif judgement.kind == "differs":
        commands = restoring([fact for fact in found if fact.changed])
    recorded = next(fact.recorded for fact in found if fact.name == "backend")
    commands = commands or across_backends(words, recorded, config)
    for number, line in enumerate(commands):
        say(f"{'  next     ' if number == 0 else '           '}{line}", screen)


if __name__ == "__main__":
    sys.exit(signals.run_command(main))
