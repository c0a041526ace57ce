"""Real faults, done to the real programs, and whether anything is lost afterwards.

`python -m tests.faults` does them all and prints a table; `test_faults.py` is its short form.
Comparisons (`compare.py`) read journals as JSON and MLflow by its own client, with no code of the
harness.
"""
