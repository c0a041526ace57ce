"""Networks as training leaves them, for mistakes to be planted in."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from harness.formats.trained_network import Network
from harness.runs.stored_network import read_network
from tests.support.exported_runs import trained

# Features and units are equal, so that kernels can be transposed and layers can change places.
SHAPE = "task=gaussian task.features=8 model.units=8 model.layers=2 task.outputs=2"
TRAINING = "task.samples=400 task.scale=standard trainer.epochs=3 optimizer.lr=0.02"
BIASES = "semantics.biases=double semantics.gru_biases=double semantics.bias_init=uniform_units"

CELLS = {
    "rnn": "model=rnn",
    "lstm": "model=lstm",
    "gru": "model=gru",
    "gru, reset before": "model=gru semantics.gru_reset=before",
}


@cache
def network(cell: str, *more: str) -> Network:
    """A trained network of two layers in which both biases act."""
    words = [*SHAPE.split(), *TRAINING.split(), *BIASES.split(), *CELLS[cell].split(), *more]
    with TemporaryDirectory() as folder:
        return read_network(trained(Path(folder), *words).directory, 0)
