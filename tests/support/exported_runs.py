"""Real runs that differ in all that an export must translate.

Cell, layers, biases, reset gate, activation, head, steps returned, loss, scaling, precision and
replicas.
"""

from pathlib import Path

from harness.runs.identity import Identity
from harness.runs.run import Result, run
from tests.support.configs import config

RUNS = {
    "simple": "task=sum model=rnn_relu model.layers=2 model.units=5 replicas=2 task.scale=standard "
    "semantics.biases=double semantics.bias_init=uniform_units",
    "lstm": "task=binary model=lstm model.units=4 precision=float64 semantics=torch",
    "gru": "task=running_sum model=gru model.layers=2 model.units=1 model.head=none "
    "semantics.gru_biases=candidate semantics.bias_init=uniform_units",
    "gru_before": "task=multi_step model=gru model.layers=2 model.units=6 task.scale=standard "
    "semantics.gru_reset=before semantics.bias_init=uniform_units",
    "masked": "task=sum task.lengths=2:5 task.length=5 task.scale=standard model=lstm "
    "model.layers=2 model.units=4",
    "probabilities": "task=gaussian task.targets=every_step task.labels=true task.outputs=2 "
    "task.lengths=2:5 task.length=5 model=gru model.units=4",
}


def trained(folder: Path, *overrides: str) -> Result:
    settings = ["trainer.epochs=2", "task.samples=200", f"results={folder}/results", *overrides]
    tracking = [] if any("tracking" in each for each in overrides) else ["tracking=journal"]
    place = folder / "run"
    return run(
        config(*settings, *tracking),
        Identity(name="a name", directory=place, overrides=list(overrides)),
    )
