"""A loop of `fit`, tracked by MLflow's autolog: `python -m benchmarks.by_hand.keras_tracked RUNS`.

Data, network and training are those of the harness' sweep. Models are not logged: that would take
far longer.
"""

import os
import sys

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
import keras
import mlflow
import numpy as np
from mlflow import tensorflow as mlflow_tensorflow

UNITS, LENGTH, SAMPLES, EPOCHS, BATCH = 32, 10, 104, 10, 8


def train(seed: int) -> None:
    """Train one network in an MLflow run."""
    keras.utils.set_random_seed(seed)
    x = np.random.default_rng(seed).random((SAMPLES, LENGTH, 1), dtype=np.float32)
    y = x.sum(axis=1)
    model = keras.Sequential(
        [keras.Input((LENGTH, 1)), keras.layers.SimpleRNN(UNITS), keras.layers.Dense(1)]
    )
    model.compile(optimizer="adam", loss="mse")
    with mlflow.start_run(run_name=f"seed {seed}"):
        model.fit(x, y, batch_size=BATCH, epochs=EPOCHS, validation_split=0.1, verbose="0")


if __name__ == "__main__":
    mlflow.set_tracking_uri("sqlite:///mlflow.db")
    mlflow.set_experiment("by hand")
    mlflow_tensorflow.autolog(log_models=False)
    for number in range(int(sys.argv[1])):
        train(number)
