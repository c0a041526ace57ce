"""The JAX backend."""

from backends.jax_backend.backend import JaxBackend

__all__ = ["JaxBackend"]
