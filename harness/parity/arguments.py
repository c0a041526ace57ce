"""The command line of `harness parity`: options, backends, and a run's settings."""

import argparse
import re
from pathlib import Path

from harness.config.overrides import is_run, key_of
from harness.console.arguments import Parser
from harness.console.command_line import option, python
from harness.core.errors import ConfigError

BACKENDS = "[numpy,torch,keras,jax]"
STEPS = 100

EXAMPLES = """\
  harness parity task=sum model=lstm
  harness parity task=binary semantics=keras backends=numpy,torch --steps 20
  harness parity --fuzz 10 --fuzz-seed 1
"""


def parse(words: list[str]) -> tuple[argparse.Namespace, list[str], list[str]]:
    """Return the options, the backends' names, and the other overrides.

    Raises `ConfigError` for values out of range and for options that exclude each other.
    """
    options = parser().parse_intermixed_args(words)
    for name, value, least in (
        ("--steps", options.steps, 1),
        ("--fuzz", options.fuzz, 1),
        ("--fuzz-seed", options.fuzz_seed, 0),
    ):
        if value is not None and value < least:
            raise ConfigError(f"{name} {value}: must be at least {least}.")
    if options.fuzz is None and options.fuzz_seed is not None:
        raise ConfigError(f"--fuzz-seed {options.fuzz_seed}: needs --fuzz N.")
    runs = [word for word in options.overrides if is_run(word)]
    if len(runs) > 1 or (runs and options.fuzz is not None):
        raise ConfigError(f"{' '.join(runs)}: name one run, without --fuzz, or none.")
    for name in ("steps", "scatter_padding"):
        if options.fuzz is not None and getattr(options, name):
            option = name.replace("_", "-")
            raise ConfigError(f"--{option}: random configurations have their own; leave it out.")
    return options, *_backends(options.overrides)


def fuzz_command(names: list[str], config_dir: Path | None) -> str:
    """Return the command that tries random configurations of the same backends."""
    words = ["--fuzz", "50"]
    listed = f"[{','.join(names)}]"
    words += [] if listed == BACKENDS else [f"backends={listed}"]
    words += [] if config_dir is None else option("--config-dir", str(config_dir))
    return python("harness.parity", words)


def parser() -> Parser:
    """Return the parser of the command line, which has its help, too."""
    command_line = Parser(
        prog="harness parity",
        purpose="Train backends in lock-step and name the first step, tensor, gate and time step\n"
        "in which two of them differ by more than rounding explains.",
        examples=EXAMPLES,
    )
    add = command_line.add_argument
    kinds = "settings as for a run (but float64 is the default), or a run; and backends=[…]"
    add("overrides", nargs="*", metavar="KEY=VALUE | RUN", help=kinds)
    add("--steps", type=int, metavar="N", help=f"at most N optimiser steps (default: {STEPS})")
    add("--fuzz", type=int, metavar="N", help="N random configurations instead of one")
    add("--fuzz-seed", type=int, metavar="S", help="which N (default: 0)")
    padding = "with task.lengths: padding anywhere in a sequence"
    add("--scatter-padding", action="store_true", help=padding)
    add("--config-dir", metavar="DIR", type=Path, help="your own tasks or backends")
    return command_line


def _backends(overrides: list[str]) -> tuple[list[str], list[str]]:
    """Return the names in `backends=[…]`, at least two and none twice, and the other overrides."""
    chosen = [word for word in overrides if key_of(word) == "backends"]
    value = chosen[-1].partition("=")[2] if chosen else BACKENDS
    listed = re.fullmatch(r"\[([^\[\]]*)\]|([^\[\]]*)", value.strip())
    if listed is None:
        raise ConfigError(f"backends={value}: must have the form backends=[numpy,torch].")
    names = [name.strip() for name in (listed[1] or listed[2] or "").split(",") if name.strip()]
    if len(names) < 2 or len(set(names)) < len(names):
        raise ConfigError(f"backends={value}: must name two or more different backends.")
    for word in overrides:
        if key_of(word) == "backend":
            raise ConfigError(f"{word}: parity compares several; use backends=[numpy,torch].")
    return names, [word for word in overrides if word not in chosen]
