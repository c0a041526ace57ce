"""A file of a run that cannot be read ends in one line that names it: copies break off, disks fill
up, and files are edited by hand.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from omegaconf.errors import OmegaConfBaseException
from safetensors import SafetensorError
from yaml import YAMLError

from harness.core.errors import ConfigError, first_line

RESTORE = "copy it from the run's artifacts in MLflow, or train the run again"
# What reading text, YAML, JSON or safetensors raises, and taking values from what was read.
SIGNS = (YAMLError, SafetensorError, OmegaConfBaseException)
SIGNS += (ValueError, LookupError, ArithmeticError, TypeError, AttributeError)


@contextmanager
def reading(path: Path, remedy: str = RESTORE) -> Iterator[None]:
    """Whatever is found to be wrong with the contents of `path` becomes a `ConfigError`; `remedy`
    says what to do about it."""
    try:
        yield
    except SIGNS as error:
        reason = f"no {error}" if type(error) is KeyError else first_line(error)
        raise ConfigError(f"{path}: is damaged ({reason}); {remedy}.") from error
