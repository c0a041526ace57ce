"""The Keras backend, on TensorFlow."""

from backends.keras_backend.backend import KerasBackend

__all__ = ["KerasBackend"]
