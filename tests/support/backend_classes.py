"""The backends by name, each imported when it is asked for."""

from importlib import import_module

from backends import Backend

BACKENDS = {
    "numpy": "NumpyBackend",
    "torch": "TorchBackend",
    "keras": "KerasBackend",
    "jax": "JaxBackend",
}


def backend_class(name: str) -> type[Backend]:
    """The class of the backend `name`; its framework is imported by this call."""
    return getattr(import_module(f"backends.{name}_backend"), BACKENDS[name])
