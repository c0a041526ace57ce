"""Files in the folder of a run, read as a user would read them."""

from pathlib import Path
from typing import Any

import pandas as pd

from tests.support import program

FILES = {
    "checkpoints/epoch-00003.safetensors",
    "config.yaml",
    "journal.jsonl",
    "network.json",
    "parameters.csv",
    "plots/loss.png",
    "plots/predictions.png",
    "predictions.csv",
    "weights/final.safetensors",
    "weights/initial.safetensors",
}
SENT_FILES = {"mlflow.json", "mlflow.lock"}  # of a run that MLflow has


def files(directory: Path) -> set[str]:
    """What a run's directory holds, but for Hydra's own folder."""
    paths = {p.relative_to(directory).as_posix() for p in directory.rglob("*") if p.is_file()}
    return {path for path in paths if not path.startswith(".hydra/")}


def table(path: Path) -> Any:
    """A CSV file as a `DataFrame`, whose types are too clever for a type checker."""
    return pd.read_csv(path)


def predictions(directory: Path, split: str) -> Any:
    rows = table(directory / "predictions.csv")
    return rows[rows["split"] == split]


def mse(rows: Any) -> float:
    return float(((rows["true"] - rows["predicted"]) ** 2).mean())


def final(directory: Path, metric: str = "train/loss") -> float:
    return program.journalled(directory, metric)[-1][1][0]
