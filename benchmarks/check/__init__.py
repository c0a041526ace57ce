"""`python -m benchmarks check`: ratios of times against expected ones, within a minute or two."""
