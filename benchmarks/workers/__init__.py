"""Sweeps by the number of worker processes."""
