"""`network.json` of a run: the model and the scaling that its weights need for predictions."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.config.damaged_files import reading
from harness.core.errors import ConfigError
from harness.core.model import ModelSpec
from harness.training.plan import Plan

FORMAT = 1  # increased when a field changes its meaning


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


def write_network(path: Path, network: NetworkFile) -> None:
    """Write `network.json` in the present format."""
    text = json.dumps({"format": FORMAT, **asdict(network)}, indent=2)
    path.write_text(text, encoding="utf-8")


def read_network(path: Path) -> NetworkFile:
    """Read `network.json`; a file without a format number has the first format.

    Raises `ConfigError` for a damaged file and for another format.
    """
    with reading(path):
        contents: dict[str, Any] = json.loads(path.read_bytes())
        file_format = contents.pop("format", FORMAT)
        if file_format == FORMAT:
            contents["model"] = ModelSpec(**contents["model"])
            return NetworkFile(**contents)
    raise ConfigError(
        f"{path}: format={file_format}: this version reads format {FORMAT}; use a newer "
        "version of the harness."
    )
