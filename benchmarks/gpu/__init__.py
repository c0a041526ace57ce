"""`python -m benchmarks gpu`: tests, parity and speed on a GPU that is there for minutes."""
