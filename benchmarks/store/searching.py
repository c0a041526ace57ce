"""Time MLflow's `search_runs`, the call behind its page, and the call by which runs are found."""

import statistics
import time
from typing import Any

BY_LOSS = "metrics.`val/loss` ASC"
SEARCHES: dict[str, dict[str, Any]] = {
    "the first 1,000, the newest first": {"max_results": 1000},
    "the first 1,000, by val/loss": {"max_results": 1000, "order_by": [BY_LOSS]},
    "the first 1,000 with tags.kind = 'run', by val/loss": {
        "filter_string": "tags.kind = 'run'",
        "max_results": 1000,
        "order_by": [BY_LOSS],
    },
    "the first 100 with tags.kind = 'run', by val/loss": {
        "filter_string": "tags.kind = 'run'",
        "max_results": 100,
        "order_by": [BY_LOSS],
    },
    "the one of a journal, by tags.`journal.id`": {},
}


def seconds_of_searches(uri: str, journal: str, repeats: int) -> dict[str, float]:
    """Return the median seconds of each search in the experiment of the run of a journal.

    The first of each is not counted: it opens a connection. Raises `ValueError` if a search finds
    nothing.
    """
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    experiments = [each.experiment_id for each in client.search_experiments()]
    found: dict[str, float] = {}
    for name, search in SEARCHES.items():
        words = search or {"filter_string": f"tags.`journal.id` = '{journal}'"}
        seconds = [_seconds(client, experiments, words) for _ in range(repeats + 1)]
        found[name] = statistics.median(seconds[1:])
    return found


def _seconds(client: Any, experiments: list[str], words: dict[str, Any]) -> float:
    began = time.perf_counter()
    if not client.search_runs(experiments, **words):
        raise ValueError(f"{words} finds no run")
    return time.perf_counter() - began
