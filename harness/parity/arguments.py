"""The command line of `python -m harness.parity`: options, backends, and a run's settings."""

import argparse
import re
from pathlib import Path

from harness.config.overrides import key_of
from harness.console.arguments import Parser
from harness.console.command_line import option, python
from harness.core.errors import ConfigError

BACKENDS = "[numpy,torch,keras,jax]"
STEPS = 100


def parse(words: list[str]) -> tuple[argparse.Namespace, list[str], list[str]]:
    """Return the options, the backends' names, and the other overrides.

    Raises `ConfigError` for values out of range and for options that exclude each other.
    """
    options = _parser().parse_intermixed_args(words)
    for name, value, least in (
        ("--steps", options.steps, 1),
        ("--fuzz", options.fuzz, 1),
        ("--fuzz-seed", options.fuzz_seed, 0),
    ):
        if value is not None and value < least:
            raise ConfigError(f"{name} {value}: must be at least {least}.")
    if options.fuzz is None and options.fuzz_seed is not None:
        raise ConfigError(f"--fuzz-seed {options.fuzz_seed}: needs --fuzz N.")
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


def _parser() -> Parser:
    parser = Parser(
        prog="python -m harness.parity",
        description="Train backends in lock-step and name the first place where two part.",
        epilog="Settings are written as for a run: task=sum model=lstm; backends=[numpy,jax] "
        "chooses the backends. float64 unless precision=float32 is given.",
    )
    add = parser.add_argument
    add("overrides", nargs="*", metavar="KEY=VALUE", help="settings of the run, and backends=[…]")
    add("--steps", type=int, help=f"optimiser steps (default: {STEPS}, or as many as there are)")
    add("--fuzz", type=int, metavar="N", help="N random configurations instead of one")
    add("--fuzz-seed", type=int, metavar="S", help="which N (default: 0)")
    add(
        "--scatter-padding",
        action="store_true",
        help="with task.lengths: padding anywhere in a sequence, not behind it alone",
    )
    add("--config-dir", type=Path, help="folder with your own tasks or backends")
    return parser


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
