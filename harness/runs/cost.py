"""The measured cost of a run's training, by which later sweeps are estimated.

A finished run has it in its journal's last event, so that it is found without reading more. On one
machine, runs of one shape take as long for an update, whatever their seed and learning rate.
"""

import hashlib
import json
import math
import platform
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

from harness.core.errors import ConfigError
from harness.system.gpu import gpu_present
from harness.tracking.journal import Event, end_of
from harness.tracking.provenance import processor
from harness.training.plan import Plan
from harness.training.trainer import Outcome

MOST = 10_000  # runs that are looked at, the latest ones: 0.5 s
ENOUGH = 5  # runs of a shape, after which no others are looked for
# An update of so many replicas takes as long for each as one of more; one replica alone takes up to
# nine times as long as each of these, and two take up to three times as long (torch, 32 units).
MANY = 8
COMPARABLE = 4  # the factor by which numbers of replicas may differ, up to MANY


@dataclass(frozen=True)
class Cost:
    """Seconds of an update for each replica, and the number of replicas that trained together."""

    seconds: float
    replicas: int

    def factor(self, replicas: int) -> float:
        """Return by which factor the number of replicas differs, up to `MANY`."""
        return math.exp(abs(math.log(min(self.replicas, MANY) / min(replicas, MANY))))


def shape_key(plan: Plan) -> str:
    """Return a key that is equal for runs whose updates take equally long on one machine."""
    config, x = plan.config, plan.splits.train.x
    may_use_gpu = config.device != "cpu" and "cuda" in config.backend.devices
    shape = {
        "backend": [config.backend.name, str(config.backend.factory), config.backend.kernel],
        "device": "cuda" if may_use_gpu and gpu_present() else "cpu",
        "threads": config.threads,
        "precision": config.precision,
        "model": asdict(plan.model),
        "batch": [plan.execution.batch, x.shape[2], plan.splits.training_data().mask is not None],
        "optimizer": [plan.training.optimizer, plan.training.clip is not None],
    }
    return hashlib.sha256(json.dumps(shape, sort_keys=True).encode()).hexdigest()[:16]


def cost_event(plan: Plan, outcome: Outcome, replicas: int) -> Event | None:
    """Return the cost of a run for its journal, which trained in a program of so many replicas.

    None for a run of a single epoch, whose compilation cannot be told apart.
    """
    if len(outcome.epoch_seconds) < 2:
        return None
    return {
        "shape": shape_key(plan),
        **_machine(),
        "seconds": outcome.timings()["time/train_s"],
        "updates": len(outcome.epoch_seconds) * outcome.steps_per_epoch,
        "replicas": replicas,
    }


def measured_seconds(results: Path, wanted: Mapping[str, int]) -> dict[str, list[float]]:
    """Return seconds per update and replica of earlier runs in `results`, for each shape.

    `wanted` has the shapes, and how many replicas of each are to train together. Those runs count
    that trained on this machine, with the most similar number of replicas.
    """
    found: dict[str, list[Cost]] = {shape: [] for shape in wanted}
    missing = set(wanted)
    for folder in islice(_latest_first(results), MOST):
        if not missing:
            break
        shape, cost = _cost_in(folder)
        if cost is not None and shape in missing and cost.factor(wanted[shape]) <= COMPARABLE:
            found[shape].append(cost)
            if sum(each.factor(wanted[shape]) < 2 for each in found[shape]) == ENOUGH:
                missing.remove(shape)
    return {shape: _nearest(costs, wanted[shape]) for shape, costs in found.items() if costs}


def _nearest(costs: list[Cost], replicas: int) -> list[float]:
    least = min(cost.factor(replicas) for cost in costs)
    return [cost.seconds for cost in costs if cost.factor(replicas) == least]


def _latest_first(results: Path) -> Iterator[Path]:
    """Yield the folders of runs and of sweeps' jobs; the names of runs and sweeps have the time."""
    tops = [*results.glob("runs/*"), *results.glob("multirun/*")]
    for top in sorted(tops, key=lambda path: path.name, reverse=True):
        yield top
        if top.parent.name == "multirun":
            yield from top.iterdir()


def _cost_in(folder: Path) -> tuple[str, Cost | None]:
    """Return shape and cost of a run that finished on this machine; else None for the cost."""
    try:
        end = end_of(folder) or {}
        cost = end.get("cost", {})
        if end.get("status") == "FINISHED" and {**cost, **_machine()} == cost:
            found = Cost(cost["seconds"] / (cost["updates"] * cost["replicas"]), cost["replicas"])
            if 0 < found.seconds < math.inf and found.replicas >= 1:
                return str(cost["shape"]), found
    except (OSError, ConfigError, LookupError, TypeError, ArithmeticError):  # damaged or edited
        pass
    return "", None


def _machine() -> dict[str, str]:
    return {"host": platform.node(), "processor": processor()}
