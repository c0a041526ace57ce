"""The NumPy backend, the reference: forward and backward pass written by hand."""

from backends.numpy_backend.backend import NumpyBackend

__all__ = ["NumpyBackend"]
