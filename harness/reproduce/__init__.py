"""`python -m harness.reproduce`: repeat a recorded run, and say whether it comes out the same."""
