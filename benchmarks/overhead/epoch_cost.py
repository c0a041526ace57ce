"""Worker of `overhead`: `python -m benchmarks.overhead.epoch_cost OVERRIDES`.

Trains a tracked run and prints, as JSON, the microseconds of its thread between two calls of
`train_epoch`, without validation's `predict`: trainer, schedule, journal, and the copy of the state
for a checkpoint that is not due. Waits are left out: a busy machine would add some.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from backends import Backend, BackendFactory
from harness.config.backend import BackendConfig
from harness.config.compose import compose
from harness.core.arrays import Array
from harness.runs.identity import Identity
from harness.runs.run import run
from harness.training.load_backend import load_backend


class Watched:
    """A backend of which it is noted how long its caller takes from epoch to epoch, in seconds."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.between = list[float]()
        self._left = self._predicted = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def train_epoch(self, batches: Array, lr: Array) -> Array:
        """Train an epoch, see `backends.Backend`."""
        if self._left:
            self.between.append(time.thread_time() - self._left - self._predicted)
        losses = self._backend.train_epoch(batches, lr)
        self._left, self._predicted = time.thread_time(), 0.0
        return losses

    def predict(self, x: Array, mask: Array | None = None) -> Array:
        """Predict, see `backends.Backend`."""
        began = time.thread_time()
        outputs = self._backend.predict(x, mask)
        self._predicted += time.thread_time() - began
        return outputs


def main() -> None:
    """Train, and print the median."""
    config = compose([*sys.argv[1:], "tracking.wait_seconds=1e6"])
    directory = Path(config.results, "runs", "watched")
    identity = Identity(name="watched", directory=directory, overrides=[], shows_progress=False)
    watched: list[Watched] = []

    def load(settings: BackendConfig) -> BackendFactory:
        factory = load_backend(settings)

        def build(*arguments: Any, **more: Any) -> Any:
            watched.append(Watched(factory(*arguments, **more)))
            return watched[-1]

        return build

    assert run(config, identity, load).wait_for_address()
    [backend] = watched
    print(json.dumps({"us_per_epoch": 1e6 * float(np.median(backend.between))}))


if __name__ == "__main__":
    main()
