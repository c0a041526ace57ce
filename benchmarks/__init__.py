"""Benchmarks: the harness against the same training as a user of each framework writes it."""
