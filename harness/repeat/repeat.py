"""What follows a recording: its rules, its settings, a run in every backend, and their gaps."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from rich.console import Console

from harness.config.compose import compose, tell_own_folders
from harness.config.conf_folder import CONF
from harness.config.overrides import key_of
from harness.config.schema import Config
from harness.console.command_line import override
from harness.core.errors import ConfigError
from harness.identify import report as said
from harness.identify.answer import name_of, sentence
from harness.identify.price import SECONDS
from harness.readers.foreign_network import Stated
from harness.repeat import report
from harness.repeat.experiment import Experiment, write
from harness.repeat.rules import NamedRules, identify
from harness.repeat.training import Repetition, repetition

BACKENDS = ("numpy", "torch", "keras", "jax")


@dataclass(frozen=True, kw_only=True)
class Request:
    """A recording to repeat, and how."""

    recording: Path
    out: Path = Path("identified")  # folder of the settings
    name: str | None = None  # of the experiment; None: the recording's
    steps: int | None = None  # that are judged; None: what a minute allows
    seconds: float = SECONDS  # that the search for rules may take
    lr: float | None = None  # where the recording has none
    stated: Stated = field(default_factory=Stated)
    nearest: bool = False  # whether to go on where no rules fit
    overrides: tuple[str, ...] = ()  # settings of the runs; backend=A,B chooses backends


def repeat(request: Request, screen: Console) -> int:
    """Make an experiment of a recording and run it in every backend.

    Return 0 if all losses are inside the rounding band, or else 1. Raises `ConfigError`.
    """
    say = partial(said.say, screen=screen)
    experiment = Experiment(folder=request.out, name=_name(request))
    backends, overrides = _backends(request.overrides)
    identified = identify(
        request.recording,
        experiment.name,
        say,
        stated=request.stated,
        lr=request.lr,
        steps=request.steps,
        seconds=request.seconds,
    )
    if not identified.found.fits:
        _say_none_fits(identified, request.seconds, screen)
        if not request.nearest:
            return 1
    else:
        say("\n" + sentence(identified.answer, identified.rules, identified.verdicts), style="bold")
    write(experiment, identified, request.recording)
    with _known(request.out):
        configs = _configs(experiment, backends, overrides, screen)
        repetitions: dict[str, Repetition] = {}
        for backend, (words, config) in configs.items():
            say(f"{backend} repeats it.")
            repetitions[backend] = repetition(config, words, request.recording)
    screen.print()
    screen.print(report.table(identified, repetitions))
    say(report.judgement(identified))
    report.show_next(experiment, repetitions, screen)
    inside = [report.verdict(identified, each.losses).fits for each in repetitions.values()]
    return 0 if all(inside) and identified.found.fits else 1


def _name(request: Request) -> str:
    """Return the experiment's name, which no option has that comes with the project."""
    name = name_of(request.recording, request.name)
    for group in ("experiment", "semantics"):
        if (CONF / group / f"{name}.yaml").exists():
            raise ConfigError(f"--name {name}: {group}={name} is another; choose another --name.")
    return name


def _backends(overrides: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Return the backends that the words choose, empty where they choose none, and the others."""
    chosen = [word for word in overrides if key_of(word) == "backend"]
    for word in overrides:
        if key_of(word) in ("experiment", "resume"):
            raise ConfigError(f"{word}: the recording is what is trained; leave it out.")
    names = chosen[-1].partition("=")[2].split(",") if chosen else []
    return names, [word for word in overrides if word not in chosen]


def _say_none_fits(identified: NamedRules, seconds: float, screen: Console) -> None:
    for line in said.none_fits(identified, seconds):
        said.say(line, screen, "bold red")
    said.say("With --nearest the runs follow the nearest rules, outside the band.", screen)


@contextmanager
def _known(folder: Path) -> Generator[None]:
    """Let the runs of the block record the folder as that of the command's options."""
    tell_own_folders([str(folder.resolve())])
    try:
        yield
    finally:
        tell_own_folders([])


def _configs(
    experiment: Experiment, chosen: list[str], overrides: list[str], screen: Console
) -> dict[str, tuple[list[str], Config]]:
    """Return words and configuration of each backend that can run here, or of those chosen.

    Raises `ConfigError`.
    """
    found: dict[str, tuple[list[str], Config]] = {}
    for backend in chosen or BACKENDS:
        words = [override("experiment", experiment.name), f"backend={backend}", *overrides]
        try:
            config = compose(words, experiment.folder)
        except ConfigError as error:
            if chosen or not str(error).startswith(f"backend={backend}: "):
                raise
            said.say(f"Left out: {error}", screen)
            continue
        if not config.trainer.epochs:
            raise ConfigError("trainer.epochs=0: a repetition trains; set it to 1 or more.")
        found[backend] = words, config
    return found
