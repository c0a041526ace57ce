"""Tracked runs per second."""
