"""A folder in the results for a run that is not begun by Hydra."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from harness.runs.folders import claim_run, first_free, release_claims


@contextmanager
def new_run(results: str) -> Iterator[Path]:
    """Claim a folder in `results/runs`, named by the time, for the run that the block carries out.

    If no run has begun in it by the end of the block, it is removed. Raises `ConfigError` where it
    cannot be created.
    """
    folder = Path(results) / "runs" / datetime.now().strftime("%Y%m%d-%H%M%S-%f")
    directory = first_free(folder.absolute())
    claim_run(directory, "results")
    try:
        yield directory
    finally:
        release_claims()
