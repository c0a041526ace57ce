"""One run or a sweep: composed by Hydra, carried out, and ended with the exit code.

The codes are those of `harness.__main__`; 1 also means that a job of a sweep failed.
"""

import os
import sys
import traceback
from pathlib import Path

import hydra
from hydra._internal.hydra import Hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from harness.config import tracking_store
from harness.config.compose import tell_own_folders
from harness.config.conf_folder import CONF
from harness.config.overrides import key_of, with_force_add, without_force_add
from harness.config.parsing import from_hydra
from harness.config.schema import Config
from harness.console.arguments import Parser, options_first
from harness.console.terminal import console
from harness.core.errors import ConfigError, Refused, first_line
from harness.runs import resume
from harness.runs.folders import cannot_write, release_claims
from harness.runs.resume import RESUME_NOTE
from harness.sweeps import jobs, sweep
from harness.sweeps.precheck import check_values
from harness.sweeps.resumed_sweep import resumed_words
from harness.system import signals
from harness.tracking import mlflow_process
from harness.tracking.journal import end_of


@hydra.main(config_path=str(CONF), config_name="config", version_base="1.3")
def job(composed: DictConfig) -> float:
    """Carry out one run, alone or in a sweep; return the loss for an optimising sweeper, or NaN."""
    settings = HydraConfig.get()
    directory = Path(settings.runtime.output_dir)
    overrides = OmegaConf.to_container(settings.overrides.task)  # unresolved, as they were typed
    assert isinstance(overrides, list)
    swept = sweep.current() if settings.mode == RunMode.MULTIRUN else None
    try:
        if swept is not None:
            if end_of(Path(swept.directory)) is not None:  # stopped before this job's turn came
                return float("nan")
            swept.check_place(composed)
            jobs.begin(swept, settings.job.num, directory)
        _keep_places(composed, Path(settings.runtime.cwd))
        if OmegaConf.select(composed, "resume") is not None:
            overrides = without_force_add(overrides)
            composed = resume.configuration(composed, overrides, directory)
        config = from_hydra(composed)
        if swept is None:
            _check_single(overrides)
            mlflow_process.start(config.tracking)
        return _run(config, directory, jobs.own_overrides(overrides), swept)
    except Exception as error:  # Hydra would stop the sweep, and print a traceback
        if swept is not None:
            jobs.note_failure(swept, settings.job.num, directory, overrides, error)
            signals.raise_if_stopped()
        else:
            failures.append(error)
        return float("nan")


def _check_single(overrides: list[str]) -> None:
    for word in overrides:
        if key_of(word).startswith("sweep."):
            raise ConfigError(f"{word}: is about a sweep; add -m, or leave it out.")


failures: list[Exception] = []  # the exception of a single run, reported by `main`


def _keep_places(composed: DictConfig, original: Path) -> None:
    """Resolve typed paths against the directory where the command was typed.

    With `hydra.job.chdir` the current directory is the run's folder.
    """
    if Path.cwd() == original:
        return
    composed.results = str(original / str(composed.results))
    resumed = OmegaConf.select(composed, "resume")
    if resumed is not None and (original / str(resumed)).is_dir():
        composed.resume = str(original / str(resumed))


def _run(config: Config, directory: Path, overrides: list[str], swept: sweep.Sweep | None) -> float:
    from harness.runs.identity import Identity
    from harness.runs.names import single_name
    from harness.runs.run import run
    from harness.runs.summary import show

    name = single_name(config, overrides) if swept is None else swept.job_name(overrides)
    parent = None if swept is None else sweep.parent(swept, config)
    result = run(
        config, Identity(name=name, directory=directory, overrides=overrides, parent=parent)
    )
    if swept is not None:
        return jobs.report(result)
    show(result, console())
    return result.loss


def main() -> int:
    """Run Hydra's entry point; report an error in one line and return the exit code."""
    wants_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises instead of printing and exiting
    os.environ.pop(sweep.VARIABLE, None)
    tracking_store.make_uri_absolute()
    signals.install()
    code = 0
    try:
        sys.argv[1:] = with_force_add(options_first(resumed_words(sys.argv[1:])))
        _check_command()
        job()
        if failures:
            raise failures.pop()
    except Refused as refusal:
        code = _report(refusal.error)
    except jobs.FailedFast:  # the table of jobs says which
        code = 1
    except (signals.Killed, Exception) as error:
        stop = signals.requested_stop()
        if stop is not None:
            signals.say_stopped(f"{stop}{_where(error)}")
            code = stop.code
        elif wants_traceback:
            raise
        else:
            code = _report(error)
    finally:
        release_claims()
        swept = sweep.current()
        if swept is not None:
            from harness.sweeps.report import close

            with signals.closing():
                code = max(code, close(swept, killed=code > 2, console=console()))
    return code


def _check_command() -> None:
    """Refuse an unknown option, and values that no job of a sweep can use before any job runs.

    Hydra would print its usage for an unknown option; here it is one line.
    """
    parser = Parser(prog="harness", add_help=False, parents=[get_args_parser()])
    options = parser.parse_args()
    others = (options.config_name, options.config_path, options.experimental_rerun, options.cfg)
    config_dir = None if options.config_dir is None else Path(os.path.abspath(options.config_dir))
    tell_own_folders([] if config_dir is None else [str(config_dir)])
    if config_dir is None and not any(others):
        _spare_composition(options.overrides)
    if options.multirun and not any(others):
        check_values(options.overrides, config_dir)


_get_mode = Hydra.get_mode


def _spare_composition(overrides: list[str]) -> None:
    """Let Hydra not compose all once more to read `hydra.mode`, which shipped files leave out.

    A setting of Hydra's own may be that, or lead to files that have it.
    """
    is_asked = any(key_of(word).startswith("hydra") for word in overrides)
    Hydra.get_mode = _get_mode if is_asked else lambda *_, **__: None


def _report(error: BaseException) -> int:
    """Print an error in one line, with the place of a run's traceback; return the exit code."""
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
    """Return the notes that the run added to its exception, the command to type last."""
    notes = getattr(error, "__notes__", [])
    return "".join(f"; {note}" for note in sorted(notes, key=lambda n: n.startswith(RESUME_NOTE)))
