"""Seconds until the harness answers, trains, refuses."""
