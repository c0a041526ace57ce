"""Read a run back from its journal, as `harness.tracking.mlflow_reader` does from MLflow."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from harness.tracking.job_outcomes import LOSSES
from harness.tracking.journal import Event, read

CURVES = ("train/loss", "val/loss")


@dataclass(kw_only=True)
class JournalledRun:
    """One run as its journal has it; numbers are means over the replicas."""

    directory: Path
    name: str
    status: str
    start_time: int
    params: dict[str, str]
    metrics: dict[str, float]  # the last value of each
    tags: dict[str, str]
    losses: dict[str, dict[int, float]] = field(repr=False)  # name -> epoch -> value
    is_linked: bool = False  # by a sweep that did not train it

    def final(self, name: str) -> float | None:
        """Return a metric at the weights that the run kept, or None."""
        return self.metrics.get(f"final/{name}", self.metrics.get(name))

    @property
    def loss(self) -> tuple[str, float] | None:
        """The name and value of the loss by which jobs of a sweep are ranked, or None."""
        names = (name for name in LOSSES if name in self.metrics)
        return next(((n.removeprefix("final/"), self.metrics[n]) for n in names), None)

    @cached_property
    def curves(self) -> Any:
        """The loss curves, a data frame: index epoch, a column for each that the run has."""
        # Half a second to import; it has no stubs.
        import pandas as pd  # pyright: ignore[reportMissingTypeStubs]

        return pd.DataFrame({n: pd.Series(v) for n, v in self.losses.items() if v}).sort_index()


def journalled_run(directory: Path) -> JournalledRun | None:
    """Return the run in a directory; None if it never began."""
    start: Event | None = None
    status = "LOST"
    metrics: dict[str, float] = {}
    losses: dict[str, dict[int, float]] = {name: {} for name in CURVES}
    for event in read(directory):
        if event["kind"] == "start":
            start = event
        elif event["kind"] == "end":
            status = event["status"]
        elif event["kind"] in ("metrics", "scalars"):
            means = _means(event["values"])
            metrics |= means
            for name in losses.keys() & means.keys() if event["kind"] == "metrics" else ():
                losses[name][event["step"]] = means[name]
    if start is None:
        return None
    return JournalledRun(
        directory=directory,
        name=start["name"],
        status=status,
        start_time=start["time"],
        params={name: str(value) for name, value in start["params"].items()},
        metrics=metrics,
        tags={name: str(value) for name, value in start["tags"].items()},
        losses=losses,
    )


def _means(values: dict[str, float | list[float]]) -> dict[str, float]:
    return {name: float(np.mean(value)) for name, value in values.items()}
