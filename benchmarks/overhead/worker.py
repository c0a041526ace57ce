"""Worker of `overhead`: `python -m benchmarks.overhead.worker REPEATS OVERRIDES`.

Times a whole run, and its training and validation without trainer, journal, files and MLflow.
Prints the seconds of both as JSON, one entry per repeat. A run of one epoch comes first, so that
imports and the creation of MLflow's database are not counted.
"""

import json
import sys
import time
from pathlib import Path

from harness.config.compose import compose
from harness.config.schema import Config
from harness.runs.identity import Identity
from harness.runs.run import run
from harness.training.load_backend import load_backend
from harness.training.plan import prepare


def alone(config: Config, _: str) -> float:
    """Return the seconds from construction to the last epoch's validation."""
    plan = prepare(config)
    began = time.perf_counter()
    val = plan.splits.parts["val"]
    backend = plan.build(load_backend(config.backend))
    for epoch in range(1, config.trainer.epochs + 1):
        for batches, lr in plan.schedule.epoch(epoch):
            backend.train_epoch(batches, lr)
        backend.predict(val.x, val.mask)
    return time.perf_counter() - began


def whole(config: Config, name: str) -> float:
    """Return the seconds until all of the run is in its files and in MLflow."""
    began = time.perf_counter()
    directory = Path(config.results) / "runs" / name
    assert run(
        config, Identity(name=name, directory=directory, overrides=[], shows_progress=False)
    ).wait_for_address()
    return time.perf_counter() - began


def main() -> None:
    """Time both in turn, and print the seconds."""
    repeats, *overrides = sys.argv[1:]
    overrides.append("tracking.wait_seconds=1e6")  # until all of a run is in MLflow
    config = compose(overrides)
    whole(compose([*overrides, "trainer.epochs=1"]), "warm")
    seconds: dict[str, list[float]] = {"alone": [], "whole": []}
    ways = {"alone": alone, "whole": whole}
    for number in range(int(repeats)):
        for name in list(ways)[:: -1 if number % 2 else 1]:  # in alternating order
            seconds[name].append(ways[name](config, str(number)))
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
