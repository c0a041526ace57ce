"""Tests of `harness/sweeps`."""
