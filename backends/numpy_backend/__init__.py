"""The reference: forward and backward by hand, in NumPy."""

from backends.numpy_backend.backend import NumpyBackend

__all__ = ["NumpyBackend"]
