"""Runs of MLflow by their journals: each journal has one, whoever makes it and however often.

MLflow gives a new run its id and may lose the answer on its way. So each run is tagged with its
journal's own id, by which it can be found again.
"""

from typing import Any

from harness.system.signals import deferred
from harness.tracking.journal import Event
from harness.tracking.mlflow_writer import ID

EVERYTHING = 3  # `mlflow.entities.ViewType.ALL`: deleted runs, too


def journal_id(start: Event) -> str:
    """Return the id of the journal that begins with the event `start`."""
    return str(start.get("id") or f"{start['time']}-{start['tags'].get('run_directory', '')}")


def create(client: Any, start: Event, experiment_id: str, tags: dict[str, str]) -> Any:
    """Create the run of a journal and return it."""
    tags = {name: str(value) for name, value in (start["tags"] | tags).items()}
    tags[ID] = journal_id(start)
    with deferred():
        return client.create_run(experiment_id, start["time"], tags, start["name"])


def find(client: Any, start: Event, experiment_id: str) -> str | None:
    """Return the id of the run of a journal, the first that was made and not deleted, or None."""
    condition = f"tags.`{ID}` = '{journal_id(start)}'"
    runs = client.search_runs([experiment_id], condition, EVERYTHING)
    rank = sorted(runs, key=lambda r: (r.info.lifecycle_stage == "deleted", r.info.start_time))
    return rank[0].info.run_id if rank else None


def exists(client: Any, run_id: str) -> Any | None:
    """Return the run, or None if the store does not know it."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_run(run_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
