"""Making a folder for something that may still be refused, and taking it back then."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from harness.errors import ConfigError
from harness.typed import key_of

HYDRAS = ("hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir")


def cannot_write(error: OSError, typed: Sequence[str]) -> str:
    """One line for the folder of a run that cannot be made, with the key that decides where it
    is: `results`, unless one of Hydra's own was `typed`."""
    keys = [key_of(word) for word in typed]
    key = next((own for own in HYDRAS if own in keys), "results")
    return f"{key}: cannot write there ({error}); choose another with {key}=FOLDER."


@contextmanager
def made(folder: Path) -> Iterator[None]:
    """Make `folder`, below the results, before work begins that would be lost without it; it is
    taken back where the work raises an exception and has left nothing in it.

    Raises `ConfigError` where it cannot be made.
    """
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise ConfigError(cannot_write(error, ())) from error
    try:
        yield
    except BaseException:
        if not any(folder.iterdir()):
            remove(folder)
        raise


def remove(folder: Path) -> None:
    """Remove `folder`, and the two above it (`runs`, `results`) if nothing else is in them."""
    shutil.rmtree(folder, ignore_errors=True)
    for above in list(folder.parents)[:2]:
        try:
            above.rmdir()
        except OSError:  # not empty, or not ours
            return
