"""Write files into a new folder such that all of them appear or none."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.core.errors import ConfigError, first_line
from harness.system.durable_files import sync_file, sync_folder
from harness.system.own_files import make_folder, note_files, take_back

INDEX = "README.md"  # moved last, so that a folder that has it is complete


@contextmanager
def filled(out: Path) -> Iterator[Path]:
    """Give a temporary folder to write into; its files are moved to `out` when the block ends.

    Raises `ConfigError` unless `out` is new or empty. If the block raises an exception, nothing is
    left behind. Files that were there before are never touched.
    """
    try:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise ConfigError(f"{out}: must be a new folder, or an empty one.")
        make_folder(out)
    except OSError as error:
        take_back(out)
        raise ConfigError(f"{out}: cannot be made ({first_line(error)}).") from error
    try:
        with tempfile.TemporaryDirectory(prefix=".writing-", dir=out) as place:
            yield Path(place)
            _move(Path(place), out)
    except BaseException as error:
        take_back(out)
        if isinstance(error, OSError):
            raise ConfigError(f"{out}: cannot be written ({first_line(error)}).") from error
        raise


def _move(place: Path, out: Path) -> None:
    """Move all files, once their bytes are on the disk.

    A file that is renamed earlier could be empty after a power cut.
    """
    files = sorted(place.iterdir(), key=lambda path: (path.name == INDEX, path.name))
    for path in files:
        sync_file(path)
    for path in files:
        target = out / path.name
        if target.exists():
            raise FileExistsError(f"{path.name} has come from elsewhere meanwhile")
        note_files(target)
        path.rename(target)
    sync_folder(out)
