"""Golden numbers: see `numbers.py`, and `python -m tests.golden`."""
