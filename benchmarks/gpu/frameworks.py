"""Which frameworks can be used here, on the device that is asked for."""

from importlib import import_module
from importlib.util import find_spec

from harness.core.errors import first_line

FRAMEWORKS = ("torch", "jax", "keras")  # those that compute on a GPU, in order of importance
PACKAGES = {"torch": "torch", "jax": "jax", "keras": "tensorflow"}


def missing(framework: str) -> str | None:
    """Return why a framework is left out, or None; nothing is imported."""
    package = PACKAGES[framework]
    return None if find_spec(package) else f"the package {package} is not installed"


def refusal(framework: str, device: str) -> str | None:
    """Return why a framework cannot compute on `device`, or None; it is imported."""
    try:
        import_module(f"backends.{framework}_backend.backend").choose_device(device)
    except Exception as error:  # an installation may be broken in any way
        return f"{type(error).__name__}: {first_line(error)}"
    return None
