"""MLflow's own exceptions, for callers that must not import it."""

import sys


def is_from_mlflow(error: BaseException) -> bool:
    """Return whether MLflow raised the error. Before MLflow is imported, it raised none."""
    if "mlflow" not in sys.modules:
        return False
    from mlflow.exceptions import MlflowException

    return isinstance(error, MlflowException)
