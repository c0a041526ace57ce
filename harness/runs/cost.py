"""The measured cost of a run's training, by which later sweeps are estimated.

A finished run has it in its journal's last event, so that it is found without reading more. On one
machine, runs of one shape take as long for an update, whatever their seed and learning rate; those
with as many samples, too, take as much memory.
"""

import hashlib
import json
import platform
from dataclasses import asdict, dataclass

from harness.system.gpu import gpu_present
from harness.system.processor import processor
from harness.tracking.journal import Event
from harness.training.plan import Plan
from harness.training.trainer import Outcome


@dataclass(frozen=True, kw_only=True)
class Size:
    """What the cost of a run depends on; `replicas` are all that train in its program."""

    shape: str = ""  # see `shape_key`
    samples: int = 0  # of each replica, in all splits
    replicas: int = 1


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


def sample_count(plan: Plan) -> int:
    """Return the number of samples of each replica, in all splits."""
    return sum(split.x.shape[1] for split in plan.splits.parts.values())


def cost_event(plan: Plan, outcome: Outcome, replicas: int, memory: int | None) -> Event | None:
    """Return the cost of a run for its journal, which trained in a program of so many replicas.

    `memory` is the peak of its process, if known. None for a run of a single epoch, whose
    compilation cannot be told apart.
    """
    if len(outcome.epoch_seconds) < 2:
        return None
    return {
        "shape": shape_key(plan),
        **this_machine(),
        "seconds": outcome.timings()["time/train_s"],
        "updates": outcome.steps,
        "threads": plan.threads,
        "replicas": replicas,
        "samples": sample_count(plan),
        "memory": memory,
    }


def this_machine() -> dict[str, str]:
    """Return what tells machines apart that do not take as long."""
    return {"host": platform.node(), "processor": processor()}
