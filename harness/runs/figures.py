"""A run's pictures, drawn in worker processes where a sweep has many runs.

A small network is trained sooner than its pictures are drawn, and drawing holds the GIL: threads
would not help.
"""

from collections.abc import Sequence
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.core.file_names import LOSS_PLOT, PREDICTIONS_PLOT
from harness.reporting import plots
from harness.system import signals
from harness.system.durable_files import Content, write_files
from harness.system.worker_processes import cores, processes
from harness.tasks import Bound
from harness.tracking.journal import read

if TYPE_CHECKING:
    import pandas as pd

MIN_RUNS = 16  # runs; below, starting worker processes takes longer than it saves
MAX_PROCESSES = 4  # worker processes; each takes a second to start


def draw(
    directory: Path, title: str, loss: str, bound: Bound | None, predictions: "pd.DataFrame"
) -> list[str]:
    """Draw the pictures of the run in `directory`, with the curves in its journal.

    `bound` is the best possible loss, if the task knows one; `predictions` has the columns of
    `run_files.prediction_table`. Returns the pictures' paths, relative to `directory`.
    """
    curves: dict[str, list[Any]] = {"train/loss": [], "val/loss": []}
    for event in read(directory):
        if event["kind"] == "metrics":
            for name, values in curves.items():
                values += [event["values"][name]] if name in event["values"] else []
    curves = {name: values for name, values in curves.items() if values}
    pictures: dict[str, Content] = {
        PREDICTIONS_PLOT: partial(plots.draw_predictions, table=predictions, loss=loss, title=title)
    }
    if curves:
        pictures[LOSS_PLOT] = partial(plots.draw_loss, curves=curves, bound=bound, title=title)
    write_files({directory / path: picture for path, picture in pictures.items()})
    return list(pictures)


def draw_all(runs: Sequence[tuple[Any, ...]]) -> list[list[str] | Exception]:
    """Call `draw` with the arguments of each run; return its results, or what it raised."""
    if len(runs) < MIN_RUNS or cores(MAX_PROCESSES) == 1:
        return [_drawn(run) for run in runs]
    futures = []
    try:
        futures += [_processes().submit(_drawn, run) for run in runs]
        return [_result(future) for future in futures]
    except BrokenExecutor:  # a process was killed, perhaps for lack of memory
        _processes.cache_clear()
        return [_drawn(run) for run in runs]
    except KeyboardInterrupt:  # drop what has not begun
        for future in futures:
            future.cancel()
        raise


def _result(future: Future[list[str] | Exception]) -> list[str] | Exception:
    """Return the result of a future. Raises `KeyboardInterrupt` also for a stop that got lost."""
    result = future.result()
    signals.raise_if_stopped()
    return result


def _drawn(run: tuple[Any, ...]) -> list[str] | Exception:
    try:
        return draw(*run)
    except Exception as error:
        return error


@cache
def _processes() -> ProcessPoolExecutor:
    return processes(cores(MAX_PROCESSES))
