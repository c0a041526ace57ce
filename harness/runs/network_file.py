"""`network.json` of a run: the model and the scaling that its weights need for predictions."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.config.damaged_files import reading
from harness.core.arrays import Array
from harness.core.errors import ConfigError
from harness.core.losses import LOSSES
from harness.core.model import GATES, ModelSpec
from harness.formats.trained_network import Network
from harness.training.plan import Plan

FORMAT = 1  # increased when a field changes its meaning
CHOICES = {
    "cell": tuple(GATES),
    "activation": ("tanh", "relu"),
    "returns": ("last", "every_step"),
    "head": ("dense", "none"),
    "biases": ("single", "candidate", "double"),
    "reset": ("after", "before"),
}
MAX_COUNT = 10**9
COUNTS = ("features", "units", "layers", "outputs")


@dataclass(frozen=True, kw_only=True)
class NetworkFile:
    """The contents of `network.json`.

    `scale` holds `x_mean` and `x_std` `(R, F)`, `y_mean` and `y_std` `(R,)` as lists, R being 1
    where the replicas share them: value = mean + std · scaled.
    """

    model: ModelSpec
    loss: str
    precision: str
    padded: bool  # trained on sequences of several lengths
    scale: dict[str, list[Any]]

    def __post_init__(self) -> None:
        """Raise `ValueError` for contents that no run has: exported programs are made from them."""
        for name, valid in CHOICES.items():
            _check_choice(f"model.{name}", getattr(self.model, name), valid)
        for name in COUNTS:
            value = getattr(self.model, name)
            if type(value) is not int or not 1 <= value <= MAX_COUNT:
                raise ValueError(f"model.{name}={value!r} is not from 1 to {MAX_COUNT}")
        _check_choice("loss", self.loss, LOSSES)
        _check_choice("precision", self.precision, ("float32", "float64"))
        _check_choice("padded", self.padded, (True, False))
        for name in ("x_mean", "x_std", "y_mean", "y_std"):
            values = np.array(self.scale[name], float)
            wanted = (len(values), self.model.features) if name[0] == "x" else (len(values),)
            if values.shape != wanted or not values.size or not np.isfinite(values).all():
                raise ValueError(f"scale.{name} is not {wanted} finite numbers")


def _check_choice(name: str, value: object, valid: tuple[object, ...]) -> None:
    if value not in valid:
        raise ValueError(f"{name}={value!r} is not one of {', '.join(map(str, valid))}")


def network_of(plan: Plan) -> NetworkFile:
    """Return the contents of `network.json` for a plan."""
    scale = plan.splits.scale
    arrays = {"x_mean": scale.x_mean[:, 0, 0], "x_std": scale.x_std[:, 0, 0]}  # (R, F)
    arrays |= {"y_mean": scale.y_mean, "y_std": scale.y_std}  # (R,)
    return NetworkFile(
        model=plan.model,
        loss=plan.training.loss,
        precision=plan.training.precision,
        padded=plan.splits.train.mask is not None,
        scale={name: values.tolist() for name, values in arrays.items()},
    )


def one_replica(
    facts: NetworkFile, weights: dict[str, Array], replica: int, origin: str
) -> Network:
    """Join what the run's files say of one replica."""
    scale = {n: np.array(v)[replica % len(v)] for n, v in facts.scale.items()}
    return Network(
        model=facts.model,
        loss=facts.loss,
        precision=facts.precision,
        padded=facts.padded,
        weights=weights,
        x_mean=scale["x_mean"],
        x_std=scale["x_std"],
        y_mean=float(scale["y_mean"]),
        y_std=float(scale["y_std"]),
        origin=origin,
    )


def network_text(network: NetworkFile) -> str:
    """Return the text of `network.json` in the present format."""
    return json.dumps({"format": FORMAT, **asdict(network)}, indent=2)


def read_network(path: Path) -> NetworkFile:
    """Read `network.json`; a file without a format number has the first format.

    Raises `ConfigError` for a damaged file and for another format.
    """
    with reading(path):
        contents: dict[str, Any] = json.loads(path.read_bytes())
        file_format = contents.pop("format", FORMAT)
        if file_format == FORMAT:
            model = ModelSpec(**contents.pop("model"))
            return NetworkFile(model=model, **contents)
    raise ConfigError(
        f"{path}: format={file_format}: this version reads format {FORMAT}; use a newer "
        "version of the harness."
    )
