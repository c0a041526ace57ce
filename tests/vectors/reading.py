"""The written reference vectors as a stranger reads them."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from backends import Array


def read(folder: Path, name: str) -> tuple[dict[str, Array], Any]:
    """The arrays and the description, as a stranger reads them."""
    with np.load(folder / f"{name}.npz") as file:
        return dict(file), json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))


def error(mine: Any, wanted: Array) -> float:
    """The largest difference as a share of the largest entry; of zeros nothing may differ."""
    assert np.shape(mine) == wanted.shape
    largest = np.abs(wanted).max()
    difference = np.abs(mine - wanted).max()
    return float(difference / largest) if largest else float(difference and np.inf)
