"""Files that appear whole or not at all, in a folder that holds nothing else."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from harness.errors import ConfigError, first_line

INDEX = "README.md"  # which comes last, so that a folder which has it is whole


@contextmanager
def filled(out: Path) -> Iterator[Path]:
    """Give a folder to write into; its files are moved to `out` when the block ends.

    `out` must be new or empty, else `ConfigError`. Where the block raises an exception nothing is
    left behind; what was there before is never touched.
    """
    made = _make(out)
    moved: list[Path] = []
    try:
        with tempfile.TemporaryDirectory(prefix=".writing-", dir=out) as place:
            yield Path(place)
            files = sorted(Path(place).iterdir(), key=lambda path: (path.name == INDEX, path.name))
            for path in files:
                _to_disk(path)
            for path in files:
                target = out / path.name
                if target.exists():
                    raise FileExistsError(f"{path.name} has come from elsewhere meanwhile")
                os.rename(path, target)
                moved.append(target)
    except BaseException as error:
        for path in moved:
            path.unlink()
        _take_back(made)
        if isinstance(error, OSError):
            raise ConfigError(f"{out}: cannot be written ({first_line(error)}).") from error
        raise


def _make(out: Path) -> list[Path]:
    """Make the folder and those above it; which of them are new, the outermost first."""
    missing: list[Path] = []
    try:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise ConfigError(f"{out}: must be a new folder, or an empty one.")
        for folder in reversed([out, *out.parents]):
            if not folder.exists():
                folder.mkdir()
                missing.append(folder)
    except OSError as error:
        _take_back(missing)
        raise ConfigError(f"{out}: cannot be made ({first_line(error)}).") from error
    return missing


def _take_back(folders: list[Path]) -> None:
    """Remove folders that were made here, unless somebody has put something into them."""
    for folder in reversed(folders):
        with suppress(OSError):
            folder.rmdir()


def _to_disk(path: Path) -> None:
    """A file that is renamed before its bytes are on the disk is empty after a power cut."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
