"""Seconds that journal, files and MLflow add to a run."""
