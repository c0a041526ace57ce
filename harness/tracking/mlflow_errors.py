"""MLflow's own exceptions: told without importing it, and in a few words."""

import re
import sys

from harness.config.tracking_store import masked
from harness.core.errors import first_line

LONGEST = 300  # characters
NO_ANSWER = re.compile(r"API request to (\w+://[^/\s]+)\S* failed with exception (.*)", re.DOTALL)
STATUS = re.compile(r"API request to \S+ failed with error code (\d+)")


def is_from_mlflow(error: BaseException) -> bool:
    """Return whether MLflow raised the error. Before MLflow is imported, it raised none."""
    if "mlflow" not in sys.modules:
        return False
    from mlflow.exceptions import MlflowException

    return isinstance(error, MlflowException)


def explained(error: BaseException) -> str:
    """Return an error of a store in a few words, without passwords."""
    text = str(error)
    if match := NO_ANSWER.search(text):
        slow = "in time" if "timed out" in match[2] or "timeout" in match[2] else ""
        return masked(f"{match[1]} does not answer {slow}".rstrip())
    if match := STATUS.search(text):
        return f"the server answers with error {match[1]}"
    return masked(first_line(error))[:LONGEST]
