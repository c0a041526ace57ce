"""Definitions that all other parts may use."""
