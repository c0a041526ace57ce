"""Turn the errors of reading a damaged file of a run into one line that names the file.

Copies break off, disks fill up, and files are edited by hand.
"""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from omegaconf.errors import OmegaConfBaseException
from safetensors import SafetensorError
from yaml import YAMLError

from harness.core.errors import ConfigError, first_line

RESTORE = "copy it from the run's artifacts in MLflow, or train the run again"
# Raised by reading text, YAML, JSON or safetensors, and by taking values from the contents.
READ_ERRORS = (
    YAMLError,
    SafetensorError,
    OmegaConfBaseException,
    ValueError,
    LookupError,
    ArithmeticError,
    TypeError,
    AttributeError,
)


@contextmanager
def reading(path: Path, remedy: str = RESTORE) -> Generator[None]:
    """Raise `ConfigError` for an error that the block meets in the contents of `path`.

    `remedy` says what the user can do about it.
    """
    try:
        yield
    except READ_ERRORS as error:
        reason = f"no {error}" if type(error) is KeyError else first_line(error)
        raise ConfigError(f"{path}: is damaged ({reason}); {remedy}.") from error
