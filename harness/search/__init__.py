"""Searches: sweeps whose jobs are trials of an Optuna study."""
