"""The key of a run: equal for runs that compute the same, whoever began them and wherever they are.

It is a hash of every setting that a result may depend on, of the data, and of the version of this
project. The tag `run_key` has it in the journal and in MLflow.
"""

import hashlib
import importlib.metadata
import json
from collections.abc import Iterator
from pathlib import Path

from backends import State
from harness.config.serialise import flat_params, is_relevant
from harness.core.file_names import JOURNAL
from harness.tracking.journal import end_of, first
from harness.tracking.state_digest import state_digest
from harness.tracking.unsent import PATTERNS
from harness.training.plan import Plan

TAG = "run_key"


def run_key(plan: Plan) -> str | None:
    """Return the key of a plan; None for a run that goes on with another one."""
    if plan.config.resume is not None:
        return None
    params = flat_params(plan.config)
    settings = {name: value for name, value in params.items() if is_relevant(name)}
    settings.pop("task.path", None)  # files may be anywhere: their contents count
    if plan.config.model.weights is not None:
        settings["model.weights"] = state_digest(plan.start)
    for name, array in (("order", plan.schedule.order), ("learning_rates", plan.schedule.rates)):
        if array is not None:
            settings[f"trainer.{name}"] = state_digest(State({name: array}))
    settings |= {"data": plan.splits.digest(), "version": _version()}
    text = json.dumps(settings, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _version() -> str:
    try:
        return importlib.metadata.version("rnn-harness")
    except importlib.metadata.PackageNotFoundError:  # run from its sources
        return ""


def finished_runs(results: Path) -> dict[str, Path]:
    """Return the folder of a finished run in `results` for each key, the latest one."""
    return dict(_finished(results))


def _finished(results: Path) -> Iterator[tuple[str, Path]]:
    for pattern in PATTERNS:
        for path in sorted(results.glob(f"{pattern}/{JOURNAL}")):
            start = first(path.parent, ("start",))
            key = None if start is None else start["tags"].get(TAG)
            end = end_of(path.parent)
            if key is not None and end is not None and end["status"] == "FINISHED":
                yield key, path.parent
