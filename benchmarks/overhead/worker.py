"""`python -m benchmarks.overhead.worker REPEATS OVERRIDES`: a run as the program does it, and the
same training and validation without trainer, journal, files and MLflow.

Prints the seconds of both as JSON, one entry per repeat. A run of one epoch comes first, so that
imports and MLflow's database are not counted.
"""

import json
import sys
import time
from pathlib import Path

from harness.config.compose import compose
from harness.config.schema import Config
from harness.core.random_streams import batch_order
from harness.runs.run import Identity, run
from harness.training.load_backend import load_backend
from harness.training.plan import prepare
from harness.training.schedule import LearningRate, epoch_batches


def alone(config: Config) -> float:
    """Seconds from construction to the last epoch's validation."""
    plan = prepare(config)
    began = time.perf_counter()
    data, val = plan.splits.training_data(), plan.splits.parts["val"]
    backend = load_backend(config.backend)(plan.model, plan.training, data, plan.start)
    samples = data.x.shape[1]
    rate = LearningRate(config, samples)
    for epoch in range(1, config.trainer.epochs + 1):
        order = batch_order(config.seeds, epoch, samples, config.trainer.shuffle)
        for batches in epoch_batches(order, config.trainer, config.semantics.last_batch):
            backend.train_epoch(batches, rate.of_epoch(epoch))
        backend.predict(val.x, val.mask)
    return time.perf_counter() - began


def whole(config: Config, name: str) -> float:
    """Seconds until all of the run is in its files and in MLflow."""
    began = time.perf_counter()
    directory = Path(config.results) / "runs" / name
    assert run(config, Identity(name, directory, [], shows_progress=False)).address
    return time.perf_counter() - began


def main() -> None:
    repeats, *overrides = sys.argv[1:]
    config = compose(overrides)
    whole(compose([*overrides, "trainer.epochs=1"]), "warm")
    found = [(alone(config), whole(config, str(n))) for n in range(int(repeats))]
    print(json.dumps({"alone": [a for a, _ in found], "whole": [b for _, b in found]}))


if __name__ == "__main__":
    main()
