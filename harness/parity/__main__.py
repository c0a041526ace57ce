"""`python -m harness.parity`: do the backends compute the same, and if not, where do they part?

    python -m harness.parity task=sum model=lstm backends=[numpy,torch,keras,jax]
    python -m harness.parity --fuzz 100

Exit code 0: they agree; 1: they differ, or one broke; 2: the command cannot be run as it stands.
"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from datetime import datetime
from itertools import combinations
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from harness import provenance, signals
from harness.config import Config
from harness.errors import ConfigError
from harness.parity import certificate
from harness.parity.difference import Difference
from harness.parity.lockstep import Names, Parity, check
from harness.parity.problem import configs, load, problem_of
from harness.parity.stages import STAGES
from harness.record import Record
from harness.terminal import console, say_next
from harness.tracking import NOTE, view_of

BACKENDS = "numpy,torch,keras,jax"
STEPS = 100


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        options, overrides = _parse(words)
        names, overrides = _backends(overrides)
        if options.fuzz is not None:
            from harness.parity.fuzz import fuzz

            return fuzz(
                options.fuzz, options.fuzz_seed, names, overrides, options.config_dir, console()
            )
        return _one(
            options, names, overrides, shlex.join(["python", "-m", "harness.parity", *words])
        )
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:
        print("\nStopped.", file=sys.stderr)
        return getattr(stop, "code", 130)


def _parse(words: list[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        prog="python -m harness.parity",
        description="Train backends in lock-step and name the first place where two part.",
        epilog="Settings are written as for a run: task=sum model=lstm; backends=[numpy,jax] "
        "chooses the backends. float64 unless precision=float32 is given.",
    )
    add = parser.add_argument
    add("--steps", type=int, help=f"optimiser steps (default: {STEPS}, or as many as there are)")
    add("--fuzz", type=int, metavar="N", help="N random configurations instead of one")
    add("--fuzz-seed", type=int, default=0, metavar="S", help="which N (default: 0)")
    add("--config-dir", type=Path, help="folder with your own tasks or backends")
    options, overrides = parser.parse_known_args(words)
    unknown = [word for word in overrides if word.startswith("-")]
    if unknown:
        raise ConfigError(f"{unknown[0]}: no such option; see python -m harness.parity --help.")
    for name, value in (("--steps", options.steps), ("--fuzz", options.fuzz)):
        if value is not None and value < 1:
            raise ConfigError(f"{name} {value}: must be at least 1.")
    if options.fuzz is not None and options.steps is not None:
        raise ConfigError("--steps: random configurations have their own; leave it out.")
    return options, overrides


def _backends(overrides: list[str]) -> tuple[list[str], list[str]]:
    """Take `backends=[…]` out of the overrides; two at least, none twice."""
    chosen = [word for word in overrides if word.startswith("backends=")]
    value = chosen[-1].partition("=")[2] if chosen else BACKENDS
    names = [name.strip() for name in value.strip("[]").split(",") if name.strip()]
    if len(names) < 2 or len(set(names)) < len(names):
        raise ConfigError(f"backends={value}: must name two or more different backends.")
    if any(word.startswith("backend=") for word in overrides):
        raise ConfigError("backend=…: parity compares several; use backends=[numpy,torch].")
    return names, [word for word in overrides if word not in chosen]


def _one(options: argparse.Namespace, names: list[str], overrides: list[str], command: str) -> int:
    composed = configs(names, overrides, options.config_dir)
    config = composed[0]
    problem = problem_of(config, options.steps or STEPS)
    screen, results = console(), Path(config.results)
    folder = results / "parity" / datetime.now().strftime("%Y%m%d-%H%M%S-%f")
    view = view_of(config.tracking, results, folder)
    with screen.status("starting") as status:
        parity = check(problem, load(composed), lambda text: status.update(f"parity: {text}"))
    found = certificate.facts(parity, config, len(problem.batches), command)
    with Record(folder, view, config.tracking.flush_seconds) as record:
        _track(record, parity, config, found)
        for name in certificate.write(folder, found):
            record.file(name)
    show(parity, names, len(problem.batches), screen)
    screen.print(f"\n  certificate  {folder}/certificate.md", soft_wrap=True)
    if view is not None and view.address:
        say_next("python -m harness.parity --fuzz 50", view.address, screen)
    return 0 if parity.agrees else 1


def _track(record: Record, parity: Parity, config: Config, found: dict[str, Any]) -> None:
    """The certificate, whose facts are `found`, as a run of the experiment `parity`."""
    verdict = found["first"] or "agrees"
    tags = {"kind": "parity", "verdict": verdict, "backends": ", ".join(found["backends"])}
    tags[NOTE] = f"{verdict}\n\n    {found['command']}"
    record.write(
        "start",
        name="·".join(["parity", config.task.name, config.model.cell, config.precision]),
        experiment=config.tracking.experiment or "parity",
        note="Certificates of agreement between backends.",
        params=found["settings"],
        tags=tags | provenance.versions(),
    )
    errors = {
        f"error/{stage.replace(' ', '_')}/{'-'.join(pair)}": difference.error
        for (stage, pair), difference in parity.differences.items()
    }
    record.write("scalars", values=errors)


def show(parity: Parity, names: list[str], steps: int, screen: Console) -> None:
    """The table, stage by pair, and the verdict."""
    pairs = list(combinations(names, 2))
    table = Table("stage", *("\n".join(pair) for pair in pairs), "limit", show_lines=True)
    for stage in STAGES:
        row = [parity.differences[stage, pair] for pair in pairs]
        limit = max(found.limit for found in row)
        table.add_row(stage, *map(_cell, row), f"{limit:.0e}" if limit else "exact")
    screen.print(table)
    screen.print("  each cell: largest relative error, the same in units in the last place")
    if parity.blind_from is not None:
        screen.print(f"  losses from step {parity.blind_from} on are not judged: the control band")
        screen.print("  is wider than 10 % there, so rounding alone may lead that far apart")
    if parity.first is None:
        screen.print(f"\n  [bold]{', '.join(names)} agree[/bold] at every stage, in {steps} steps.")
    else:
        who: Names = parity.first_pair or ("", "")
        screen.print(f"\n  [bold red]{who[0]} and {who[1]} differ.[/bold red] First at")
        screen.print(f"    {parity.first.sentence()}", soft_wrap=True, highlight=False)


def _cell(found: Difference) -> str:
    if found.stage == "names":
        return "[red]differ[/red]" if found.beyond else "equal"
    if not found.tensor:
        return "not judged"
    text = f"{found.error:.1e}\n{found.ulps:.3g} ulp" if not found.note else found.note
    return f"[red]{text}[/red]" if found.beyond else text


if __name__ == "__main__":
    signals.install()
    sys.exit(main())
