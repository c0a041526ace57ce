"""`harness record`: record a training in a program or a notebook, and repeat it in every backend.

Exit code 0: it is recorded, and every backend repeats it; 1: it is recorded, and something after
that failed; 2: nothing is recorded.
"""

import argparse
import itertools
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from harness.console import streams
from harness.console.command_line import counted, shell_line
from harness.console.terminal import console, say
from harness.core.errors import ConfigError, check_package, check_range
from harness.record.arguments import parser
from harness.record.events import Events
from harness.record.process import run_program
from harness.record.summary import summary
from harness.recorder.recording import FACTS, read_recording
from harness.repeat.repeat import Request, repeat
from harness.system import signals


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    streams.prepare()
    try:
        options, screen = parser().parse_args(arguments), console()
        with signals.deferred():  # until the program, which is stopped as well, has ended
            folder, code = _record(options, screen)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    return max(int(code != 0), _follow_up(folder, screen, options.repeat))


def _record(options: argparse.Namespace, screen: Console) -> tuple[Path, int]:
    """Run the program; return the folder of the recording and the program's exit code.

    Raises `ConfigError`.
    """
    check_range("--training", options.training, 1)
    _check_program(options.program, options.arguments)
    folder = _folder(options.program, options.out)
    code, events = run_program(
        options.program, options.arguments, folder.absolute(), options.training
    )
    folder = _recorded(options, folder, code, events)
    recording = read_recording(folder)
    if code:
        say(f"{options.program} ended with {_ending(code)}; recorded is what came before.", screen)
    say(summary(folder, recording), screen)
    return folder, code


def _follow_up(folder: Path, screen: Console, repeats: bool) -> int:
    """Repeat the recorded training in every backend, or say how; return the exit code."""
    if not repeats:
        say("Every backend repeats it, by the rules that are found, after", screen)
        say("  " + shell_line(["harness", "repeat", str(folder)]), screen)
        return 0
    try:
        return repeat(Request(recording=folder), screen)
    except ConfigError as error:  # such as a network that no backend has
        print(f"{folder} is recorded, and not repeated: {error}", file=sys.stderr)
        return 1


def _check_program(program: Path, arguments: list[str]) -> None:
    """Raise `ConfigError` for what is no script or notebook, or cannot be run here."""
    if program.suffix not in (".py", ".ipynb"):
        raise ConfigError(f"{program}: name a script (.py) or a notebook (.ipynb).")
    if not program.is_file():
        raise ConfigError(f"{program}: there is no such file; name a script or a notebook.")
    if program.suffix == ".ipynb":
        for module in ("nbclient", "ipykernel"):
            check_package(str(program), module, module, "notebook")
        if arguments:
            raise ConfigError(f"{arguments[0]}: a notebook takes no arguments; leave it out.")


def _folder(program: Path, out: Path | None) -> Path:
    """Return the folder of the recording, new or empty, by default `recorded/NAME`."""
    if out is not None:
        if not _is_free(out):
            raise ConfigError(
                f"--out {out}: has files, and a recording replaces none; name a new folder."
            )
        return out
    name = re.sub(r"\W+", "_", program.stem).strip("_") or "program"
    numbered = (f"{name}_{number}" for number in itertools.count(2))
    places = (Path("recorded", name) for name in itertools.chain([name], numbered))
    return next(place for place in places if _is_free(place))


def _is_free(folder: Path) -> bool:
    return not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))


def _recorded(options: argparse.Namespace, folder: Path, code: int, events: Events) -> Path:
    """Return the folder of the recording that was asked for; raise `ConfigError` if none is."""
    if events.refusals:
        raise ConfigError(f"{options.program}: {events.refusals[-1]}")
    found = [Path(place) for place in events.recordings]
    if not found and len(events.trainings) >= options.training:
        if (folder / FACTS).exists():
            return folder
        raise ConfigError(
            f"{options.program}: ended with {_ending(code)} before a recording of its training "
            "was written."
        )
    if len(found) >= options.training:
        return found[options.training - 1]
    count = max(len(found), len(events.trainings))
    if count:
        raise ConfigError(
            f"--training {options.training}: {options.program} has {counted(count, 'training')}: "
            f"{'; '.join(events.trainings or events.recordings)}."
        )
    if code:
        raise ConfigError(f"{options.program}: ended with {_ending(code)} before it trained.")
    raise ConfigError(f"{options.program}: trained nothing that was seen. {_advice(events)}")


def _advice(events: Events) -> str:
    """Return what can be done for a program in which no training was seen."""
    if events.imported == ["jax"]:
        return (
            "JAX has no object that trains: wrap the step in recorder.jax(…), one line "
            "(docs/recording.md)."
        )
    if not events.imported:
        return "It imported neither Keras nor PyTorch nor JAX in its own process."
    return (
        "Seen are Model.fit of Keras and steps of PyTorch's optimizers, in the program's own "
        "process; for others see docs/recording.md."
    )


def _ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {-code}"


if __name__ == "__main__":
    sys.exit(signals.run_command(main))
