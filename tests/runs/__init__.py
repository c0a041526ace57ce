"""Tests of `harness/runs`."""
