"""`harness parity`: tell whether backends compute the same, and if not, where they part.

    harness parity task=sum model=lstm backends=[numpy,torch,keras,jax]
    harness parity --fuzz 100

Exit code 0: they agree; 1: they differ, or one broke; 2: the command cannot be run as it stands.
"""

import argparse
import math
import sys
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

from rich.console import Console

from harness.config.compose import Compose, compose
from harness.config.overrides import is_run, key_of
from harness.config.repeated_config import retrained_config
from harness.config.schema import Config
from harness.console import streams
from harness.console.command_line import python, shell_word
from harness.console.terminal import console, say
from harness.core.errors import ConfigError
from harness.parity import certificate
from harness.parity.arguments import STEPS, fuzz_command, parse
from harness.parity.lockstep import BackendFailed, Parity, check
from harness.parity.problem import configs, load_classes, problem_of, with_scattered_padding
from harness.parity.table import show
from harness.runs.folders import new_folder
from harness.runs.recorded_side import recorded_side
from harness.system import signals
from harness.tracking import provenance
from harness.tracking.browse import missing, say_next
from harness.tracking.mlflow_process import track
from harness.tracking.mlflow_store import NOTE
from harness.tracking.run_log import RunLog


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    streams.prepare()
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        options, names, overrides = parse(words)
        if options.fuzz is not None:
            from harness.parity.fuzz import fuzz

            seed = options.fuzz_seed or 0
            return fuzz(options.fuzz, seed, names, overrides, options.config_dir, console())
        return _one(options, names, overrides, python("harness.parity", words))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except BackendFailed as error:
        print("; ".join([str(error), *getattr(error, "__notes__", [])]), file=sys.stderr)
        return 1


def _one(options: argparse.Namespace, names: list[str], overrides: list[str], command: str) -> int:
    composed = configs(names, *_settings(overrides, options.config_dir))
    config = composed[0]
    problem = problem_of(config, options.steps or STEPS)
    if options.scatter_padding:
        problem = with_scattered_padding(problem)
    screen, results = console(), Path(config.results)
    folder = results / "parity" / datetime.now().strftime("%Y%m%d-%H%M%S-%f")
    experiment = config.tracking.experiment_or("parity")
    with new_folder(folder):
        tracking = track(config.tracking, experiment, results, folder)
        classes = load_classes(names, composed)
        _say_fewer(options.steps, len(problem.batches), config, screen)
        open_record = partial(RunLog, folder, tracking)
        try:
            with screen.status("starting", spinner="line") as status:
                parity = check(problem, classes, lambda text: status.update(f"parity: {text}"))
        except BackendFailed as error:
            with open_record() as record:
                _start(record, config, str(error), names, command)
                raise
        certified = certificate.certify(parity, config, len(problem.batches), command)
        with open_record() as record:
            _start(record, config, certified.first or "agrees", names, command)
            record.write("scalars", values=_errors(parity))
            for name in certificate.write(folder, certified):
                record.file(name)
    show(parity, names, len(problem.batches), screen)
    say(f"\n  certificate  {shell_word(str(folder / 'certificate.md'))}", screen)
    if tracking is not None:
        address = tracking.wait_for_address()
        if address:
            say_next(fuzz_command(names, options.config_dir), address, screen)
        else:
            say(f"  {missing(tracking.problem, folder)}", screen)
    return 0 if parity.agrees else 1


def _settings(words: list[str], config_dir: Path | None) -> tuple[list[str], Compose]:
    """Return the overrides among the words, and what makes a configuration of overrides.

    That changes the configuration of a run, if the words name one. Raises `ConfigError`.
    """
    overrides = [word for word in words if not is_run(word)]
    if overrides == words:
        return words, partial(compose, config_dir=config_dir)
    [run] = set(words) - set(overrides)
    typed = {key_of(word): word.partition("=")[2] for word in overrides}
    results = typed.get("results", "results")
    recorded = recorded_side(run, Path(results), typed.get("tracking.uri"))
    if recorded.get("resume") is not None:
        raise ConfigError(f"{run}: it resumed another run; parity trains from the first epoch.")
    recorded.results = results
    return overrides, lambda changes: retrained_config(recorded, run, changes, config_dir)


def _say_fewer(requested: int | None, steps: int, config: Config, screen: Console) -> None:
    """Print a line if the run has fewer steps than were requested."""
    if requested is None or requested <= steps:
        return
    epochs = math.ceil(requested * config.trainer.epochs / steps)
    available = f"the run has {steps} step{'s' * (steps > 1)} and no more"
    line = f"--steps {requested}: {available}; with trainer.epochs={epochs} it has as many"
    screen.print(line, soft_wrap=True, highlight=False)


def _start(record: RunLog, config: Config, verdict: str, names: list[str], command: str) -> None:
    """Record the start of the comparison, as a run of the experiment `parity`."""
    tags = {"kind": "parity", "verdict": verdict, "backends": ", ".join(names)}
    tags[NOTE] = f"{verdict}\n\n    {command}"
    record.start(
        name="·".join(["parity", config.task.name, config.model.cell, config.precision]),
        experiment=config.tracking.experiment_or("parity"),
        note="Certificates of agreement between backends.",
        params=certificate.settings(config),
        tags=tags | provenance.versions(),
    )


def _errors(parity: Parity) -> dict[str, float]:
    """Return the largest error of each stage and pair, by its name in MLflow."""
    return {
        f"error/{stage.replace(' ', '_')}/{'-'.join(pair)}": difference.error
        for (stage, pair), difference in parity.differences.items()
        if difference.judged
    }


if __name__ == "__main__":
    sys.exit(signals.run_command(main))
