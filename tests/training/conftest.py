"""Training with a backend whose losses are written beforehand, as a fixture."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from backends import Backend, State
from harness.config.schema import Config
from harness.tracking.journal import read
from harness.tracking.run_log import RunLog
from harness.training import trainer
from harness.training.checkpoints import Checkpoint
from harness.training.schedule import Schedule
from harness.training.splits import Splits
from tests.support.scripted_training import Scripted, Train, Trained, splits


@pytest.fixture
def train(tmp_path: Path) -> Train:
    """Trains with the scripts `losses` `(steps, R)` and `val_losses` `(epochs, R)`."""
    directories = iter(tmp_path / str(i) for i in range(100))

    def trained(
        run: Config,
        losses: Any = None,
        val_losses: Any = None,
        data: Splits | None = None,
        begun: Checkpoint | None = None,
    ) -> Trained:
        R, built = run.replicas, []
        script = (
            np.ones((1000, R)) if losses is None else np.reshape(np.array(losses, float), (-1, R))
        )
        val = np.ones((1, R)) if val_losses is None else np.reshape(val_losses, (-1, R))

        def build(state: State) -> Backend:
            built.append(Scripted(state, script, val))
            return cast(Backend, built[-1])

        zeros = np.zeros((R, 1))
        start = State({"w": zeros}, {"m": {"w": zeros.copy()}}) if begun is None else begun.state
        data = data or splits(val=val_losses is not None)
        directory = next(directories)
        with RunLog(directory, None) as record:
            schedule = Schedule(run, data.train.x.shape[1])
            outcome = trainer.train(build, start, data, schedule, run, record, begun)
        return Trained(outcome, built, list(read(directory)))

    return trained
