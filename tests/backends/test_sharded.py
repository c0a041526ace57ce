"""The kernel `sharded`, in which each thread takes a part of every batch."""

import json
import subprocess
import sys

from tests.support.program import PATIENCE


def test_sharded_batches_train_as_whole_ones() -> None:
    command = [sys.executable, "-m", "tests.backends.sharded"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    found = json.loads(ended.stdout.splitlines()[-1])
    planted = found["agrees"].pop("without means")
    assert all(found["agrees"].values())
    assert len(found["agrees"]) == 6
    assert not planted
    assert "differ in their number of real time steps" in found["refused"]["masked"]
    assert "threads=2 does not divide trainer.batch_size=7" in found["refused"]["odd"]
    assert "XLA runs already, with threads=2" in found["refused"]["threads"]
