"""Keras' archives, `.keras`, and its bare weights, `.weights.h5`."""
