"""The configuration of a recorded run that a command trains anew: a side of `why` or `parity`."""

import atexit
from pathlib import Path
from tempfile import TemporaryDirectory

from harness.config.compose import Composed
from harness.core.file_names import CONFIG, WEIGHTS
from harness.runs.checksums import check_file
from harness.runs.find import find_run
from harness.runs.input_files import load_restored


def recorded_side(word: str, results: Path, uri: str | None) -> Composed:
    """Return the configuration of the run `word`, whose data and weights can be read.

    Of a run whose folder is gone they are downloaded from MLflow, and kept until the process ends.
    Raises `ConfigError`.
    """
    fetched = TemporaryDirectory()
    atexit.register(fetched.cleanup)
    needed = (CONFIG, WEIGHTS)
    folder = find_run("", word, results, uri, needed, Path(fetched.name, "run"))
    check_file(folder, CONFIG)
    return load_restored(folder)
