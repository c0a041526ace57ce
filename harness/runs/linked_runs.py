"""The runs that a sweep links to instead of training them anew, as MLflow has them.

In MLflow they are children of another sweep, or of none. The sweep's journal names them by the ids
of their journals; it is in the sweep's folder, or among the sweep's files in MLflow once it has
ended.
"""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from harness.core.file_names import JOURNAL
from harness.runs.find import directory_of
from harness.tracking import mlflow_runs
from harness.tracking.launched_jobs import linked_jobs
from harness.tracking.mlflow_reader import TrackedRun, find_runs
from harness.tracking.mlflow_writer import ID


def linked_runs(
    mlflow: Any, sweep: str, experiment: str | None, condition: str | None, results: Path
) -> list[TrackedRun]:
    """Return the linked runs of a sweep, by its id in MLflow, that satisfy the conditions.

    `results` is the folder of the runs; see `find_runs` for the conditions.
    """
    found: dict[str, TrackedRun] = {}
    for journal in _journals(mlflow, sweep, results):
        own = f"tags.`{ID}` = '{journal}'"
        both = own if condition is None else f"{condition} and {own}"
        for run in find_runs(mlflow, None, experiment, both):
            found[run.run_id] = replace(run, is_linked=True)
    return list(found.values())


def _journals(mlflow: Any, sweep: str, results: Path) -> list[str]:
    """Return the ids of the journals of a sweep's linked runs."""
    run = mlflow_runs.exists(mlflow, sweep)
    if run is None:
        return []
    with TemporaryDirectory() as fetched:
        folder = directory_of(run.data.tags, results)
        if folder is None:
            folder = Path(fetched)
            if JOURNAL in {file.path for file in mlflow.list_artifacts(sweep)}:
                mlflow.download_artifacts(sweep, JOURNAL, fetched)
        ids = dict.fromkeys(job.journal for job in linked_jobs(folder))
    return [journal for journal in ids if journal and "'" not in journal]
