"""`harness …`: one run, a sweep, or the command that the first word names.

For a run: compose the configuration, carry it out, and end with an exit code that is true:
0 all went well; 1 a run or a job of a sweep failed; 2 the command cannot be run as it stands;
128 + n stopped by signal n, such as 130 by Ctrl-C.
"""

import importlib
import os
import sys
import traceback
from contextlib import suppress
from pathlib import Path

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from harness.config import completion, tracking_store
from harness.config.compose import CONF
from harness.config.overrides import as_typed, typed
from harness.config.parsing import from_hydra
from harness.config.schema import Config
from harness.console import streams
from harness.console.arguments import Parser, options_first
from harness.console.commands import command_module
from harness.console.terminal import console
from harness.core.errors import ConfigError, Refused, first_line
from harness.runs import resume
from harness.runs.folders import cannot_write, give_up_claims
from harness.runs.resume import GO_ON
from harness.sweeps import jobs, sweep
from harness.sweeps.precheck import check_values
from harness.system import signals


@hydra.main(config_path=str(CONF), config_name="config", version_base="1.3")
def job(composed: DictConfig) -> float:
    """One run, alone or in a sweep. Returns the loss that an optimising sweeper minimises."""
    settings = HydraConfig.get()
    directory = Path(settings.runtime.output_dir)
    overrides = OmegaConf.to_container(settings.overrides.task)  # unresolved, as they were typed
    assert isinstance(overrides, list)
    swept = sweep.current() if settings.mode == RunMode.MULTIRUN else None
    try:
        if swept is not None:
            swept.check_place(composed)
            jobs.begin(swept, settings.job.num, directory)
        _keep_places(composed, Path(settings.runtime.cwd))
        if OmegaConf.select(composed, "resume") is not None:
            overrides = as_typed(overrides)
            composed = resume.configuration(composed, overrides, directory)
        return _run(from_hydra(composed), directory, overrides, swept)
    except Exception as error:  # Hydra would stop a sweep at it, and print more than it should
        if swept is not None:
            jobs.note_failure(swept, settings.job.num, directory, overrides, error)
            signals.check()
        else:
            failures.append(error)
        return float("nan")


failures: list[Exception] = []  # of a single run, for `main` to report


def _keep_places(composed: DictConfig, original: Path) -> None:
    """With `hydra.job.chdir` a run works in its own folder; what was typed still means a place in
    the directory where the command was given."""
    if Path.cwd() == original:
        return
    composed.results = str(original / str(composed.results))
    resumed = OmegaConf.select(composed, "resume")
    if resumed is not None and (original / str(resumed)).is_dir():
        composed.resume = str(original / str(resumed))


def _run(config: Config, directory: Path, overrides: list[str], swept: sweep.Sweep | None) -> float:
    from harness.runs.run import Identity, run
    from harness.runs.summary import show

    if swept is not None:
        return jobs.run_alone(config, directory, overrides, swept)
    result = run(config, Identity(_single_name(config, overrides), directory, overrides))
    show(result, console())
    return result.loss


def _single_name(config: Config, overrides: list[str]) -> str:
    """`sum·torch·rnn·s0`, with the values that were set by their dotted keys, three at most."""
    seeds = f"s{config.seed}" + (
        f"-{config.seed + config.replicas - 1}" if config.replicas > 1 else ""
    )
    pairs = [override.partition("=")[::2] for override in overrides]
    dotted = [f"{key.split('.')[-1]}={value}" for key, value in pairs if "." in key]
    resumed = ["resumed"] if config.resume is not None else []
    words = [config.task.name, config.backend.name, config.model.cell, seeds, *resumed]
    return "·".join([*words, *dotted[:3]])


def main() -> int:
    """Carry out what the command line asks for; without a word on it, show the help."""
    streams.prepare()
    _find_own_modules()
    if completion.is_query(sys.argv[1:]):
        os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises instead of exiting
        return completion.complete(job)
    if not sys.argv[1:]:
        sys.argv.append("--help")
    try:
        module = command_module(sys.argv[1:])
    except ConfigError as error:
        return _report(error)
    if module is None:
        return train()
    del sys.argv[1]
    return signals.ending(importlib.import_module(module).main)


def _find_own_modules() -> None:
    """Let `task._target_` name a module in the current directory. `python -m harness` has it on its
    path from the start, the console script has not; behind everything else it shadows nothing."""
    with suppress(OSError):  # a directory that is gone
        if not sys.flags.safe_path and os.getcwd() not in sys.path:
            sys.path.append(os.getcwd())


def train() -> int:
    """Run Hydra's entry and turn every way of ending into one line and an exit code."""
    wants_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises instead of printing and exiting
    os.environ.pop(sweep.VARIABLE, None)
    tracking_store.settle()
    sys.argv[1:] = typed(options_first(sys.argv[1:]))
    signals.install()
    code = 0
    try:
        _check_command()
        job()
        if failures:
            raise failures.pop()
    except Refused as refusal:
        code = _report(refusal.error)
    except (signals.Killed, Exception) as error:
        stop = signals.asked()
        if stop is not None:
            signals.say_stopped(f"{stop}{_where(error)}")
            code = stop.code
        elif wants_traceback:
            raise
        else:
            code = _report(error)
    finally:
        give_up_claims()
        swept = sweep.current()
        if swept is not None:
            from harness.sweeps.report import close

            with signals.closing():
                code = max(code, close(swept, killed=code > 2, console=console()))
    return code


def _check_command() -> None:
    """Refuse an option that Hydra does not know before Hydra does, at greater length; and what no
    job of a sweep can use before any of them runs."""
    parser = Parser(prog="harness", add_help=False, parents=[get_args_parser()])
    options = parser.parse_args()
    others = (options.config_name, options.config_path, options.experimental_rerun, options.cfg)
    if options.multirun and not any(others):
        own = None if options.config_dir is None else Path(options.config_dir)
        check_values(options.overrides, own)


def _report(error: BaseException) -> int:
    """One line for a mistake of the user's; for a failed run, where its traceback is."""
    if isinstance(error, ConfigError):
        line, code = str(error), 2
    elif isinstance(error, HydraException | OmegaConfBaseException) or _is_hydras(error):
        from harness.config.hydra_messages import explain

        line, code = explain(error, CONF, sys.argv[1:], sweeps=True), 2
    elif isinstance(error, MemoryError):
        line, code = f"{first_line(error)} Lower replicas, task.samples or model.units.", 1
    elif isinstance(error, OSError) and not _where(error):  # before a run's record began
        line, code = cannot_write(error), 2
    else:
        if not _where(error):  # no record has the traceback
            traceback.print_exception(error)
        line, code = f"{type(error).__name__}: {error}{_where(error)}", 1
    print(line, file=sys.stderr)
    return code


def _is_hydras(error: BaseException) -> bool:
    return isinstance(error, ValueError) and str(error).startswith("Config group override")


def _where(error: BaseException) -> str:
    """The notes that the run left on the exception that ended it; what can be typed comes last, so
    that it is a line's end."""
    notes = getattr(error, "__notes__", [])
    return "".join(f"; {note}" for note in sorted(notes, key=lambda n: n.startswith(GO_ON)))


if __name__ == "__main__":
    sys.exit(main())
